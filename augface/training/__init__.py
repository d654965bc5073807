"""How adversarial generators learn: losses, augmentation, one loop, checkpoints."""
