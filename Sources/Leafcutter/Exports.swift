// Re-exports all types of the facade's signatures, so that programs need one import.
@_exported import CPMAntShape
@_exported import LeafEvaluation
@_exported import LeafExecutor
@_exported import LeafFormat
@_exported import LeafGeneration
@_exported import LeafImport
@_exported import LeafStream
@_exported import LeafSynthesis
@_exported import LeafSystem
@_exported import LeafTokenizer
