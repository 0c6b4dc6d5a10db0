import LeafFormat
import LeafGeneration
import LeafSystem
import LeafWire
import Leafcutter

/// What a line comes to.
extension BatchJob {
    static func name(of line: LineCutter.Line, number: Int? = nil) -> LineName {
        line.isTooLong ? LineName(line: number ?? line.number) : LineName(line.bytes, line: number ?? line.number)
    }

    func makeItem(_ line: LineCutter.Line, _ name: LineName) throws(LeafError) -> BatchItem {
        guard !line.isTooLong else {
            throw LeafError(.usage, "it is longer than \(Self.lineLimit.sizeText)")
        }
        do throws(LeafError) {
            return try makeItem(line.bytes, name)
        } catch {
            // A line that is no JSON lacks whatever stands behind the fault: that is not what is wrong with it.
            try JSONReader.read(line.bytes) { _, reader throws(LeafError) in try reader.skip() }
            throw error
        }
    }

    private func makeItem(_ bytes: ArraySlice<UInt8>, _ name: LineName) throws(LeafError) -> BatchItem {
        if let fault = name.fault { throw fault }
        if let endpoint = options.endpoint, !name.isOpenAI || name.url != endpoint {
            throw LeafError.field("url", "is not \(endpoint), which all lines of this job are for")
        }
        let item = try BatchItem(bytes, name, for: file, options.defaults, seed: seed(of: name))
        for demand in item.requests.flatMap({ $0.demands(in: file.configuration) }) {
            if let refusal = options.capacity.flatMap({ demand.refusal(by: $0) }) { throw refusal }
        }
        return item
    }

    func isTooWide(_ error: LeafError) -> Bool { options.capacity != nil && error.kind == .tooLong }

    /// The seed of a request that gives none: a line has the same one in every run.
    func seed(of name: LineName) -> UInt64 {
        let bytes = withUnsafeBytes(of: seed.littleEndian) { Array($0) } + name.idBytes
        // Short, because people copy it.
        return ChunkDigest.of(bytes) & 0xFFFF_FFFF
    }
}
