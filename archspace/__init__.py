"""archspace: explore convolutional network design spaces."""
