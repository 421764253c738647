"""What runs in the box: the zygote, and the confinement and harness of its children."""
