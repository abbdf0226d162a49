"""minigen: deep generative models for recommendation, from scratch.

Start with ``minigen demo``, or in Python with ``from minigen.recommender import MultVAE``.
"""

__version__ = "0.1.0"
