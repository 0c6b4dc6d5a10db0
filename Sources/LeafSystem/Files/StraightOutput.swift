internal import Glibc

/// A descriptor that is written from beginning to end: standard output, a pipe, a terminal, a device, a file.
///
/// Whoever reads a pipe may rest. Writing waits for room and looks, in between, whether the program is to end: a write
/// that the system holds up would keep it from that.
package struct StraightOutput {
    private let descriptor: Int32
    /// Files never wait for a reader.
    private let mayRest: Bool
    private let isCancelled: @Sendable () -> Bool

    /// What a pipe takes at once when it takes anything.
    private static let pieceBytes = 4096
    private static let waitMilliseconds: Int32 = 100
    /// Waits, after the request to end, in which a reader that only is slow gets what there is: one second.
    private static let patience = 10

    /// - Parameter isCancelled: whether nobody wants to wait for a reader any more.
    package init(_ descriptor: Int32, isCancelled: @escaping @Sendable () -> Bool) {
        self.descriptor = descriptor
        self.isCancelled = isCancelled
        var status = stat()
        mayRest = fstat(descriptor, &status) == 0 && status.st_mode & S_IFMT != S_IFREG
    }

    /// Writes all of the bytes.
    ///
    /// - Returns: the error number if some could not be written; `EINTR` if the wait for a reader was given up.
    package func write(_ bytes: UnsafeRawBufferPointer) -> Int32? {
        var done = 0
        var patience = Self.patience
        while done < bytes.count {
            if mayRest, !hasRoom() {
                if isCancelled() { patience -= 1 }
                if patience == 0 { return EINTR }
                continue
            }
            let count = retrying {
                checked(
                    Glibc.write(
                        descriptor, bytes.baseAddress! + done,
                        min(bytes.count - done, mayRest ? Self.pieceBytes : Int.max)))
            }
            if count == -Int(EAGAIN) { continue }
            guard count >= 0 else { return Int32(-count) }
            done += count
        }
        return nil
    }

    /// Waits for room for a moment. What goes wrong with the descriptor is found by writing.
    private func hasRoom() -> Bool {
        var waited = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return retrying { checked(poll(&waited, 1, Self.waitMilliseconds)) } != 0
    }
}
