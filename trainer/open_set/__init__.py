"""Few-shot open-set classification (thesis 6.2): which of a few known sounds is it, or none of them?

class folders -> roles of the classes -> K-shot folds -> system: embeddings -> cosines -> decision
"""
