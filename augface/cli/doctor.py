"""`augface doctor`: what is here, what is missing, and what to do about it."""

from __future__ import annotations

import os
import platform
import shutil
from importlib import metadata

from augface.cli.console import print_table, say

NEEDED_MISSING = 3
SCARCE_DISK = 2_000_000_000
"""Bytes. Below this, the image cache of a middling data set and one run may not fit."""


def doctor() -> int:
    """Check the installation: packages, devices, weights, cache.

    The exit code is 0 where all is fine, and 3 where something that is needed is missing.
    """
    from augface.version import __version__

    say(f"augface {__version__} on Python {platform.python_version()}, {platform.platform(terse=True)}\n")
    to_do = [*_packages(), *_devices(), *_feature_spaces(), *_cache()]
    if not to_do:
        say("All is fine.")
        return 0
    say("To do:")
    for step in to_do:
        say(f"  {step}")
    return NEEDED_MISSING


def _packages() -> list[str]:
    """Show every package that augface needs; return what to do for those that are missing or too old."""
    try:
        from packaging.requirements import Requirement
    except ImportError:
        return ["The package `packaging` is missing: pip install packaging"]
    to_do = []
    rows = []
    for requirement in map(Requirement, sorted(metadata.requires("augface") or [])):
        if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        try:
            version = metadata.version(requirement.name)
        except metadata.PackageNotFoundError:
            version = "missing"
        if version != "missing" and requirement.specifier.contains(version, prereleases=True):
            rows.append(["  ok", requirement.name, version])
        else:
            rows.append(["  !!", requirement.name, f"{version}, but {requirement.specifier} is needed"])
            to_do.append(f"pip install '{requirement.name}{requirement.specifier}'")
    say("Packages")
    print_table(rows)
    say()
    return to_do


def _devices() -> list[str]:
    from augface.threads import cores

    say("Devices")
    say(f"  CPU: {cores()} cores, {_memory()} of memory")
    try:
        import torch
    except (ImportError, OSError) as error:
        say("  !! torch cannot be loaded\n")
        return [f"Install torch again; loading it fails with: {error}"]
    for index in range(torch.cuda.device_count()):
        properties = torch.cuda.get_device_properties(index)
        say(f"  cuda:{index}: {properties.name}, {properties.total_memory / 1e9:.0f} GB of memory")
    if torch.backends.mps.is_available():
        say("  mps: Apple GPU")
    if not torch.cuda.is_available() and not torch.backends.mps.is_available():
        say("  no GPU: training runs on the CPU")
    say()
    return []


def _memory() -> str:
    try:
        return f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 1e9:.0f} GB"
    except (AttributeError, ValueError):  # not on Windows
        return "an unknown amount"


def _feature_spaces() -> list[str]:
    """Show which spaces have their weights. Only the default one is needed; another is a matter of taste."""
    try:
        from augface.features import DEFAULT_SPACE, FEATURE_SPACES, weights_status
    except ImportError as error:
        return [f"Feature spaces cannot be loaded: {error}"]
    to_do = []
    rows = []
    for name in FEATURE_SPACES:
        try:
            present, detail = weights_status(name)
        except Exception as error:  # a broken plug-in or package must not hide the rest
            present, detail = False, str(error)
        rows.append(["  ok" if present else "  --", name, detail])
        if name == DEFAULT_SPACE and not present:
            to_do.append(f"The default feature space {name} has no weights: {detail}")
    say("Feature spaces")
    print_table(rows)
    say()
    return to_do


def _cache() -> list[str]:
    from augface.cache import entries
    from augface.files import cache_dir, human_bytes

    folder = cache_dir()
    existing = next(place for place in [folder, *folder.absolute().parents] if place.is_dir())
    held = sum(entry.bytes for entry in entries())
    free = shutil.disk_usage(existing).free
    say("Cache")
    say(f"  {folder}: {human_bytes(held)} held, {human_bytes(free)} free on its disk")
    to_do = []
    if not os.access(existing, os.W_OK | os.X_OK):
        to_do.append(f"The cache folder {folder} cannot be written. Set AUGFACE_CACHE to a folder that can.")
    if free < SCARCE_DISK:
        say("  !! little space left; `augface data purge` frees what the cache holds")
    say()
    return to_do
