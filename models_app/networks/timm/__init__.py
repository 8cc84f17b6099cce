"""The classifiers of the timm library, as data: what is known of each, and a network of one. timm is not loaded."""
