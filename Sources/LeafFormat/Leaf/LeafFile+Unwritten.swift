package import LeafSystem

extension LeafFile {
    /// The header that a model of this shape would have, no chunk packed. There is no such file to read.
    ///
    /// - Throws: `.badInput` for a shape outside of the format's limits.
    package init(unwritten shape: FileShape, weights: WeightFormat, name: String) throws(LeafError) {
        let layout = LeafLayout(
            shape: shape, weights: weights, vocabularyBytes: nil, dictionaryBytes: nil, metadata: [])
        let chunks = shape.matrices.map { matrix in
            let geometry = ChunkGeometry(matrix)
            return (0..<geometry.chunkCount).map { index in
                let outputs = geometry.outputs(ofChunk: index).count
                return LeafMetadata.ChunkRecord(
                    outputCount: outputs, storedBytes: geometry.bytes(outputs: outputs), codec: .raw, digest: 0)
            }
        }
        let header = try layout.header(
            regions: layout.regions.map {
                Region(name: $0.name, offset: $0.offset, byteCount: $0.byteCount, digest: 0)
            }, chunks: chunks, sourceDigests: [])
        let fileBytes = layout.blocksOffset + chunks.joined().reduce(0) { $0 + $1.paddedBytes }
        let parsed = try SafetensorsHeader(json: Array(header[8...]), fileBytes: fileBytes, path: name)
        self = try Assembly(path: name, fileBytes: fileBytes, header: parsed).assemble { _, _ in shape }
    }
}
