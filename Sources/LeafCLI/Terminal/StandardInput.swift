import Glibc
import Leafcutter

/// Standard input as UTF-8.
struct StandardInput {
    private static let chunkBytes = 1 << 16

    private var pending: [UInt8] = []
    private var line = 0
    private var isAtEnd = false

    /// Whether somebody types it.
    static var isTerminal: Bool { isatty(STDIN_FILENO) == 1 }

    /// All of it.
    ///
    /// - Throws: `.io`, and `.badInput` if it is not valid UTF-8.
    static func text() throws(LeafError) -> String {
        var input = StandardInput()
        while try input.fill() {}
        guard let text = String(validating: input.pending, as: UTF8.self) else {
            throw LeafError(.badInput, "standard input is not valid UTF-8; convert it first")
        }
        return text
    }

    /// The next line without its end, nil after the last one. Lines end with `\n` alone.
    ///
    /// - Throws: `.io`, and `.badInput` naming a line that is not valid UTF-8.
    mutating func nextLine() throws(LeafError) -> String? {
        var searched = 0
        while true {
            if let end = pending[searched...].firstIndex(of: UInt8(ascii: "\n")) {
                defer { pending.removeFirst(end + 1) }
                return try validated(pending[..<end])
            }
            searched = pending.count
            guard try fill() else {
                guard !pending.isEmpty else { return nil }
                defer { pending = [] }
                return try validated(pending[...])
            }
        }
    }

    private mutating func validated(_ bytes: ArraySlice<UInt8>) throws(LeafError) -> String {
        line += 1
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw LeafError(.badInput, "standard input, line \(line), is not valid UTF-8; convert it first")
        }
        return text
    }

    /// Whether more came.
    private mutating func fill() throws(LeafError) -> Bool {
        guard !isAtEnd else { return false }
        var failure: Int32 = 0
        let chunk = [UInt8](unsafeUninitializedCapacity: Self.chunkBytes) { buffer, count in
            var result = read(STDIN_FILENO, buffer.baseAddress, Self.chunkBytes)
            while result < 0 && errno == EINTR { result = read(STDIN_FILENO, buffer.baseAddress, Self.chunkBytes) }
            if result < 0 { failure = errno }
            count = max(0, result)
        }
        guard failure == 0 else {
            throw LeafError(.io, "standard input: \(String(cString: strerror(failure))); give a file or a pipe")
        }
        isAtEnd = chunk.isEmpty
        pending += chunk
        return !isAtEnd
    }
}
