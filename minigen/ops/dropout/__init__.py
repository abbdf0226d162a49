"""What happens to a sparse row before it enters the encoder."""
