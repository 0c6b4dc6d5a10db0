// Room LeafImport.
