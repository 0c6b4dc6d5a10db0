import LeafSystem

/// One frame of a session file: up to 256 KiB of its contents, packed if that saves space, with its own digest.
///
/// Documentation/session.md describes the bytes.
struct SessionFrame: Equatable {
    static let magic = Array("LEAFSESS".utf8)
    /// Raised when an older reader would misread the file.
    static let version: UInt32 = 1
    /// The most bytes of contents in a frame.
    static let maximumBytes = 256 << 10
    static let headerBytes = 40
    /// Bytes of the largest frame.
    static let roomBytes = (headerBytes + maximumBytes).roundedUp(to: PageMemory.pageBytes)

    /// Counts from 0 without a gap.
    var number: UInt32
    var rawBytes: Int
    /// Equal to `rawBytes` if the contents are not packed.
    var storedBytes: Int
    var isLast: Bool

    /// Bytes in the file: whole pages.
    var paddedBytes: Int { (Self.headerBytes + storedBytes).roundedUp(to: PageMemory.pageBytes) }

    /// Writes the header in front of the stored bytes, and zeros after them.
    func seal(_ frame: UnsafeMutableRawBufferPointer) {
        frame.copyBytes(from: Self.magic)
        for (index, value) in [Self.version, number, UInt32(rawBytes), UInt32(storedBytes), isLast ? 1 : 0, 0]
            .enumerated()
        {
            frame.storeBytes(of: value.littleEndian, toByteOffset: 8 + 4 * index, as: UInt32.self)
        }
        UnsafeMutableRawBufferPointer(rebasing: frame[(Self.headerBytes + storedBytes)..<paddedBytes])
            .initializeMemory(as: UInt8.self, repeating: 0)
        let digest = Self.digest(frame, paddedBytes)
        frame.storeBytes(of: digest.littleEndian, toByteOffset: 32, as: UInt64.self)
    }

    /// Parses the first bytes of a frame; nil if no writer makes such bytes.
    init?(header: UnsafeRawBufferPointer) {
        let values = (0..<6).map {
            UInt32(littleEndian: header.loadUnaligned(fromByteOffset: 8 + 4 * $0, as: UInt32.self))
        }
        self.init(
            number: values[1], rawBytes: Int(values[2]), storedBytes: Int(values[3]), isLast: values[4] == 1)
        guard header.starts(with: Self.magic), values[0] == Self.version, values[4] <= 1, values[5] == 0,
            rawBytes <= Self.maximumBytes, storedBytes <= rawBytes
        else { return nil }
    }

    init(number: UInt32, rawBytes: Int, storedBytes: Int, isLast: Bool) {
        self.number = number
        self.rawBytes = rawBytes
        self.storedBytes = storedBytes
        self.isLast = isLast
    }

    /// Whether the digest of the frame is right.
    ///
    /// Overwrites the digest.
    func isWhole(_ frame: UnsafeMutableRawBufferPointer) -> Bool {
        let digest = UInt64(littleEndian: frame.load(fromByteOffset: 32, as: UInt64.self))
        return Self.digest(frame, paddedBytes) == digest
    }

    /// XXH3-64 with zeros in place of the digest.
    private static func digest(_ frame: UnsafeMutableRawBufferPointer, _ count: Int) -> UInt64 {
        frame.storeBytes(of: 0, toByteOffset: 32, as: UInt64.self)
        return ChunkDigest.of(UnsafeRawBufferPointer(rebasing: frame[0..<count]))
    }
}
