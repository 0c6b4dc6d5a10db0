import LeafFormat
public import LeafGeneration
public import LeafSystem

/// The result of `Model.writeLogits`.
public struct LogitsSummary: Sendable, Equatable {
    public let cases: Int
    public let rows: Int
    /// Bytes of the file.
    public let bytes: Int
}

extension Model {
    /// Computes the logits of whole texts and writes them to a safetensors file. For each case it has a tensor `<id>`,
    /// float32 `[rows, vocabSize]`, with all rows after the soft prompt.
    ///
    /// The file is renamed to its final name when it is complete.
    ///
    /// - Parameters:
    ///   - lastOnly: writes only the last row of each case.
    ///   - cancellation: ends it with `.cancelled`; nothing of the file is left then.
    ///   - progress: called after each case with the number of cases done.
    /// - Throws: `.usage` for invalid cases or two cases with one id, `.io` when writing fails.
    public func writeLogits(
        of cases: [LogitsCase], to path: String, lastOnly: Bool = false, cancellation: Cancellation = Cancellation(),
        progress: (Int) -> Void = { _ in }
    ) throws(LeafError) -> LogitsSummary {
        let vocabSize = file.configuration.vocabSize
        let rowCounts = cases.map {
            lastOnly ? 1 : max(0, $0.rowCount(in: file.configuration) - file.configuration.promptLength)
        }
        try LogitsCase.requireDistinctNames(cases)
        var tensors: [TensorEntry] = []
        var dataBytes = 0
        for (logitsCase, rows) in zip(cases, rowCounts) {
            let bytes = rows * vocabSize * MemoryLayout<Float>.stride
            tensors.append(
                TensorEntry(
                    name: logitsCase.id, type: .f32, shape: [rows, vocabSize], offset: dataBytes, byteCount: bytes))
            dataBytes += bytes
        }
        let header = SafetensorsHeader.bytes(metadata: [], tensors: tensors)
        let output = try UnfinishedFile(path: path, isCancelled: { cancellation.isCancelled })
        try header.withUnsafeBufferPointer { (bytes) throws(LeafError) in
            try output.append(UnsafeRawBufferPointer(bytes))
        }
        var (rows, done) = (0, 0)
        try logits(of: cases, lastOnly: lastOnly, cancellation: cancellation) { index, _, logits throws(LeafError) in
            if index > done {
                done = index
                progress(done)
            }
            try output.append(UnsafeRawBufferPointer(logits))
            rows += 1
        }
        try output.finish()
        return LogitsSummary(cases: cases.count, rows: rows, bytes: header.count + dataBytes)
    }
}

extension LogitsCase {
    fileprivate static func requireDistinctNames(_ cases: [LogitsCase]) throws(LeafError) {
        var seen: Set<[UInt8]> = []
        for logitsCase in cases {
            guard logitsCase.id != "__metadata__", !logitsCase.id.isEmpty else {
                throw LeafError(
                    .usage, "a case's id is '\(logitsCase.id)', which no tensor may be called; give it another")
            }
            guard seen.insert(Array(logitsCase.id.utf8)).inserted else {
                throw LeafError(.usage, "two cases have the id '\(logitsCase.id)'; give each its own")
            }
        }
    }
}
