"""The dense layer with weights of 16 bits, for serving."""
