"""Several ranks with PyTorch: torchrun starts them, a process group connects them, and they share their gradients."""
