import Glibc
import LeafSystem
import Leafcutter

/// The bytes of a file, of standard input or of a pipe, piece by piece.
final class InputBytes {
    static let pieceBytes = 1 << 16

    /// For sentences: `requests.jsonl`, `standard input`.
    let name: String
    /// Whether `rewind` leads to the beginning: true for files, false for pipes and terminals.
    let isRepeatable: Bool
    /// Bytes of a file from where it begins; nil where only the end tells.
    let byteCount: Int?
    private let descriptor: Int32
    /// Where a file begins: standard input may have been read up to somewhere.
    private let beginning: Int
    private var offset: Int
    /// What was read of a pipe; nil where nothing is kept.
    private var kept: KeptBytes?

    /// - Parameter path: `-` is standard input.
    /// - Throws: `.io` if it cannot be opened or is closed, `.badInput` for a directory.
    init(path: String) throws(LeafError) {
        name = path == "-" || path == "/dev/stdin" ? "standard input" : path
        let number = Self.descriptor(named: path)
        guard number != STDIN_FILENO || !StandardDescriptors.isInputClosed else {
            throw LeafError(.io, "standard input is closed; name a file, or send into the program what it is to read")
        }
        if let number {
            // Not opened anew: a socket could not be, and a file would begin again.
            descriptor = fcntl(number, F_DUPFD_CLOEXEC, 3)
        } else {
            // A named pipe without a writer must not hold up the program.
            descriptor = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        }
        guard descriptor >= 0 else { throw .system("\(name) cannot be opened", errno) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else {
            let code = errno
            close(descriptor)
            throw .system("\(name) cannot be examined", code)
        }
        guard status.st_mode & S_IFMT != S_IFDIR else {
            close(descriptor)
            throw LeafError(.badInput, "\(name) is a directory, where a file is wanted")
        }
        isRepeatable = status.st_mode & S_IFMT == S_IFREG
        beginning = isRepeatable ? max(0, lseek(descriptor, 0, SEEK_CUR)) : 0
        byteCount = isRepeatable ? max(0, Int(status.st_size) - beginning) : nil
        offset = beginning
    }

    deinit { close(descriptor) }

    /// Whether somebody types it.
    var isTerminal: Bool { isatty(descriptor) == 1 }

    /// The number of a descriptor that a path means, whether there is a `/proc` or not.
    private static func descriptor(named path: String) -> Int32? {
        switch path {
        case "-", "/dev/stdin": STDIN_FILENO
        case _ where path.hasPrefix("/dev/fd/"): Int32(path.dropFirst("/dev/fd/".count))
        default: nil
        }
    }

    /// Keeps what comes from now on of what can be read but once, so that `rewind` gives it again.
    ///
    /// - Parameter most: bytes; reading more throws `.usage`.
    func keep(atMost most: Int) { if !isRepeatable { kept = KeptBytes(most: most) } }

    /// Bytes that are kept.
    var keptBytes: Int { kept?.count ?? 0 }

    /// Begins again. Only what `isRepeatable` or kept can do it.
    func rewind() {
        precondition(isRepeatable || kept != nil)
        offset = beginning
        kept?.rewind()
    }

    /// All that is left, in an array of just that size for a file; nil if it is more than `most` bytes.
    ///
    /// - Throws: `.io` when reading fails, `.cancelled` after an interruption of waiting.
    func all(atMost most: Int) throws(LeafError) -> [UInt8]? {
        if let byteCount, byteCount > most { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(byteCount ?? 0)
        while bytes.count <= most {
            try Interrupt.shared.check()
            guard let piece = try next(waiting: 100) else { continue }
            if piece.isEmpty { return bytes }
            bytes += piece
        }
        return nil
    }

    /// The next piece, empty at the end.
    ///
    /// - Parameter milliseconds: how long to wait for it; -1 for as long as it takes.
    /// - Returns: nil if nothing came in time.
    /// - Throws: `.io` when reading fails.
    func next(waiting milliseconds: Int32) throws(LeafError) -> [UInt8]? {
        if let piece = kept?.next() { return piece }
        if !isRepeatable, try !isReady(milliseconds) { return nil }
        var failure: Int32 = 0
        let piece = [UInt8](unsafeUninitializedCapacity: Self.pieceBytes) { room, count in
            let result = retrying {
                checked(
                    isRepeatable
                        ? pread(descriptor, room.baseAddress, Self.pieceBytes, offset)
                        : read(descriptor, room.baseAddress, Self.pieceBytes))
            }
            if result < 0 { failure = Int32(-result) }
            count = max(0, result)
        }
        if failure == EAGAIN { return nil }
        guard failure == 0 else { throw .system("\(name) cannot be read", failure) }
        offset += piece.count
        try kept?.add(piece, of: name)
        return piece
    }

    /// Whether something came in time. A signal ends the wait early, so that whoever reads can stop.
    private func isReady(_ milliseconds: Int32) throws(LeafError) -> Bool {
        var waited = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        let count = poll(&waited, 1, milliseconds)
        guard count >= 0 || errno == EINTR else { throw .system("\(name) cannot be read", errno) }
        return count > 0
    }
}

/// What was read of an input that gives it but once.
private struct KeptBytes {
    private static let blockBytes = InputBytes.pieceBytes

    let most: Int
    private(set) var count = 0
    /// All but the last are full, so that many short pieces take no more than few long ones.
    private var blocks: [[UInt8]] = []
    /// The block that is given again next; nil while everything is new.
    private var nextBlock: Int?

    init(most: Int) { self.most = most }

    mutating func rewind() { nextBlock = 0 }

    /// The next piece of what is given again, empty at its end; nil while everything is new.
    mutating func next() -> [UInt8]? {
        guard let nextBlock else { return nil }
        self.nextBlock = nextBlock + 1
        return nextBlock < blocks.count ? blocks[nextBlock] : []
    }

    /// - Throws: `.usage` for more than may be kept.
    mutating func add(_ piece: [UInt8], of name: String) throws(LeafError) {
        guard count + piece.count <= most else {
            throw LeafError(
                .usage,
                "\(name) brings more than \(ByteCount(bytes: most)), which is all that is kept of what can be read but "
                    + "once; write it to a file first")
        }
        count += piece.count
        var rest = piece[...]
        while !rest.isEmpty {
            if blocks.last.map({ $0.count == Self.blockBytes }) ?? true {
                blocks.append([])
                blocks[blocks.count - 1].reserveCapacity(Self.blockBytes)
            }
            let part = rest.prefix(Self.blockBytes - blocks[blocks.count - 1].count)
            blocks[blocks.count - 1] += part
            rest = rest.dropFirst(part.count)
        }
    }
}
