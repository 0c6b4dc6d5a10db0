internal import Glibc

/// Reads the small text files in which the kernel reports facts; a test can replace them.
package struct SmallFileReader: Sendable {
    /// The whole file; nil if it does not exist, is not text, or is longer than any such file.
    package var read: @Sendable (_ path: String) -> String?

    package init(_ read: @escaping @Sendable (_ path: String) -> String?) { self.read = read }

    private static let limitBytes = 4 << 20

    package static let real = SmallFileReader { path in
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while bytes.count < limitBytes {
            let count = Glibc.read(descriptor, &piece, piece.count)
            if count < 0, errno == EINTR { continue }
            guard count >= 0 else { return nil }
            if count == 0 { return String(validating: bytes, as: UTF8.self) }
            bytes += piece[..<count]
        }
        return nil
    }
}
