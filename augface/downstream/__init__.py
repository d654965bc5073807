"""The downstream question as an experiment: arms, two ways of learning, and what comes of each."""
