extension LeafFile {
    /// The header that a model of this size would have: enough to plan with. There is no such file to read.
    ///
    /// - Throws: `.badInput` never in practice: the presets are within the format's limits.
    public init(preset: ModelPreset, weights: WeightFormat = .int8) throws(LeafError) {
        let layout = LeafLayout(
            configuration: preset.configuration, weights: weights, vocabularyBytes: nil, dictionaryBytes: nil,
            metadata: [])
        let chunks = layout.shape.matrices.map { matrix in
            let geometry = ChunkGeometry(rows: matrix.rows, columns: matrix.columns, weights: weights)
            return (0..<geometry.chunkCount).map { index in
                let rows = geometry.rows(ofChunk: index).count
                return LeafMetadata.ChunkRecord(
                    rowCount: rows, storedBytes: geometry.bytes(rows: rows), codec: .raw, digest: 0)
            }
        }
        let header = try layout.header(
            regions: layout.regions.map {
                Region(name: $0.name, offset: $0.offset, byteCount: $0.byteCount, digest: 0)
            }, chunks: chunks, sourceDigests: [])
        let fileBytes = layout.blocksOffset + chunks.joined().reduce(0) { $0 + $1.paddedBytes }
        let parsed = try SafetensorsHeader(json: Array(header[8...]), fileBytes: fileBytes, path: preset.rawValue)
        self = try Assembly(path: preset.rawValue, fileBytes: fileBytes, header: parsed).assemble()
    }
}
