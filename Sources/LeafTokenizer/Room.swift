// Room LeafTokenizer.
