// Room LeafGeneration.
