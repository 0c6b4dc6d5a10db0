public import LeafSystem

extension LeafFile {
    /// The progress of a verification, in bytes of the file.
    public struct VerificationProgress: Sendable, Equatable {
        public let bytesDone: Int
        public let bytesTotal: Int
    }

    /// Reads the whole file and checks every digest. Digests cover every byte after the header, padding included.
    ///
    /// - Throws: `.badInput` naming the first block or region that fails and its tensors, `.io` if reading fails.
    public func verify(
        isCancelled: () -> Bool = { false }, progress: (VerificationProgress) -> Void = { _ in }
    ) throws(LeafError) {
        let input = try InputFile(path: path)
        let slot = try PageMemory(count: chunks.map(\.slotBytes).max() ?? 0)
        var done = regions.first?.offset ?? 0
        func account(_ count: Int) throws(LeafError) {
            done += count
            progress(VerificationProgress(bytesDone: done, bytesTotal: fileBytes))
            if isCancelled() { throw LeafError(.cancelled, "the verification was stopped after \(done.diskText)") }
        }
        for region in regions {
            try verify(region, in: input)
            try account(region.byteCount)
        }
        for (index, chunk) in chunks.enumerated() {
            let stored = slot.bytes[chunk.storedAt..<chunk.slotBytes]
            try input.read(at: chunk.offset, into: UnsafeMutableRawBufferPointer(rebasing: stored))
            _ = try verifyAndUnpack(index, in: slot.bytes)
            try account(chunk.paddedBytes)
        }
        try verifyScales(in: input)
    }

    /// Checks the scales. A file may be undamaged and yet have scales that no conversion makes.
    private func verifyScales(in input: InputFile) throws(LeafError) {
        for tensor in tensors where tensor.type == .f32 && tensor.name.hasSuffix(".scale") {
            let bytes = try input.bytes(at: tensor.offset, count: tensor.byteCount)
            let isSound = bytes.withUnsafeBytes { raw in
                stride(from: 0, to: raw.count, by: 4).allSatisfy {
                    let scale = raw.loadUnaligned(fromByteOffset: $0, as: Float.self)
                    return scale.isFinite && scale >= 0
                }
            }
            guard isSound else {
                throw LeafError(
                    .badInput,
                    "\(path): tensor \(tensor.name) holds scales that are no numbers; \(remedy)")
            }
        }
    }
}
