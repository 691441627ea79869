"""Transform: one preprocessing for training and serving, computed over the whole data by TensorFlow Transform."""

from components.transform.component import Transform

__all__ = ["Transform"]
