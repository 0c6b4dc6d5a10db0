package import LeafSystem

/// Writes the contents of a session piece by piece, past the page cache if possible.
///
/// It needs two buffers, however much there is to write.
package final class SessionWriter {
    /// Bytes of a writer's buffers, and of a reader's.
    package static let bufferBytes = 2 * SessionFrame.roomBytes

    private let output: OutputFile
    private let contents: PageMemory
    private let frame: PageMemory
    private var filled = 0
    private var number: UInt32 = 0
    /// Bytes in the file so far.
    package private(set) var byteCount = 0

    /// - Parameter output: an empty file.
    package init(_ output: OutputFile) throws(LeafError) {
        self.output = output
        contents = try PageMemory(count: SessionFrame.roomBytes)
        frame = try PageMemory(count: SessionFrame.roomBytes)
    }

    package func append(_ bytes: UnsafeRawBufferPointer) throws(LeafError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            if filled == SessionFrame.maximumBytes { try flush(isLast: false) }
            let part = rest.prefix(SessionFrame.maximumBytes - filled)
            UnsafeMutableRawBufferPointer(rebasing: contents.bytes[filled...])
                .copyMemory(from: UnsafeRawBufferPointer(rebasing: part))
            filled += part.count
            rest = rest.dropFirst(part.count)
        }
    }

    /// Writes a number, little-endian.
    package func append(_ value: some FixedWidthInteger) throws(LeafError) {
        let value = value.littleEndian
        try withUnsafeBytes(of: value) { (bytes) throws(LeafError) in try append(bytes) }
    }

    /// Writes the bits of a double.
    package func append(_ value: Double) throws(LeafError) { try append(value.bitPattern) }

    /// Writes a count, then each number.
    package func append(_ values: some Collection<Int32>) throws(LeafError) {
        try append(UInt32(values.count))
        for value in values { try append(value) }
    }

    /// Writes a count of bytes, then the text in UTF-8.
    package func append(_ text: String) throws(LeafError) {
        let bytes = Array(text.utf8)
        try append(UInt32(bytes.count))
        try bytes.withUnsafeBufferPointer { (bytes) throws(LeafError) in
            try append(UnsafeRawBufferPointer(bytes))
        }
    }

    /// Writes the rest.
    package func finish() throws(LeafError) { try flush(isLast: true) }

    private func flush(isLast: Bool) throws(LeafError) {
        let raw = UnsafeRawBufferPointer(rebasing: contents.bytes[0..<filled])
        let room = UnsafeMutableRawBufferPointer(rebasing: frame.bytes[SessionFrame.headerBytes...])
        let packed = LZ4Codec.compress(raw, into: room, isQuick: true)
        if packed == nil { room.copyMemory(from: raw) }
        let header = SessionFrame(
            number: number, rawBytes: filled, storedBytes: packed ?? filled, isLast: isLast)
        header.seal(frame.bytes)
        try output.writePages(UnsafeRawBufferPointer(rebasing: frame.bytes[0..<header.paddedBytes]), at: byteCount)
        byteCount += header.paddedBytes
        number += 1
        filled = 0
    }
}
