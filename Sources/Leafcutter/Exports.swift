// One import gives a program everything that the facade's signatures mention.
@_exported import CPMAntShape
@_exported import LeafEvaluation
@_exported import LeafExecutor
@_exported import LeafFormat
@_exported import LeafGeneration
@_exported import LeafImport
@_exported import LeafStream
@_exported import LeafSynthesis
@_exported import LeafTokenizer
