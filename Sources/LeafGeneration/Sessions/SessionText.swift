import CPMAntShape
import LeafFormat
import LeafSystem

/// A generated text as a session keeps it.
struct SessionText {
    var ids: [Int32]
    /// Whether it ended for another reason than its length.
    var hasStopped: Bool
    /// One entry for each token, if they were requested.
    var logprobs: [TokenLogprobs]

    func write(to writer: SessionWriter) throws(LeafError) {
        try writer.append(ids)
        try writer.append(UInt8(hasStopped ? 1 : 0))
        for token in logprobs {
            try writer.append(token.chosen.logprob)
            try writer.append(UInt32(token.top.count))
            for entry in token.top {
                try writer.append(entry.id)
                try writer.append(entry.logprob)
            }
        }
    }

    /// Reads over those of one token.
    static func skipLogprobs(_ reader: SessionReader) throws(LeafError) {
        try reader.skip(MemoryLayout<Double>.stride)
        let top = try reader.count(atMost: Int(Int32.max))
        try reader.skip(top * (MemoryLayout<Int32>.stride + MemoryLayout<Double>.stride))
    }

    init(ids: [Int32], hasStopped: Bool, logprobs: [TokenLogprobs]) {
        self.ids = ids
        self.hasStopped = hasStopped
        self.logprobs = logprobs
    }

    init(
        _ reader: SessionReader, _ options: GenerationOptions, in configuration: ModelConfiguration
    ) throws(LeafError) {
        ids = try reader.tokens(
            atMost: options.maxTokens, below: options.compatibility.tokenCount(in: configuration))
        hasStopped = try reader.flag()
        logprobs = []
        guard let top = options.logprobs else { return }
        for id in ids {
            let chosen = TokenLogprobs.Entry(id: id, logprob: try reader.double())
            var entries: [TokenLogprobs.Entry] = []
            for _ in 0..<(try reader.count(atMost: top)) {
                entries.append(TokenLogprobs.Entry(id: try reader.integer(), logprob: try reader.double()))
            }
            logprobs.append(TokenLogprobs(chosen: chosen, top: entries))
        }
    }
}

extension SessionReader {
    func tokens(atMost most: Int, below tokenCount: Int) throws(LeafError) -> [Int32] {
        let ids = try ids(atMost: most)
        guard ids.allSatisfy({ 0 <= $0 && Int($0) < tokenCount }) else { throw damage }
        return ids
    }

    func flag() throws(LeafError) -> Bool {
        let value: UInt8 = try integer()
        guard value <= 1 else { throw damage }
        return value == 1
    }
}
