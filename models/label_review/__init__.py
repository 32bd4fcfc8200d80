"""What is to be looked at again in labelled data: near-duplicates, and labels that a model contradicts.

NumPy and SciPy, on feature vectors that are there already. Nothing depends on the order in which examples are listed.
"""
