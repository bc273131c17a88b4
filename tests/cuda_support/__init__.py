"""What several tests of the CUDA target share."""
