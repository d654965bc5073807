"""The sections of an inspection: what each looks at, as measurements, tables and pictures."""
