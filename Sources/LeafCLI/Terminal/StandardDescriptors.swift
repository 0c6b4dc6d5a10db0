import Glibc
import Synchronization

/// Descriptors 0 to 2.
enum StandardDescriptors {
    private static let hadNoInput = Atomic<Bool>(false)

    /// Whether the program was started without standard input.
    static var isInputClosed: Bool { hadNoInput.load(ordering: .relaxed) }

    /// Takes those that the program was started without. Else the first files that it opens would be called so, and
    /// what is meant for standard error would be written into a result.
    ///
    /// A folder stands in for them: it can be neither read nor written, so that a result without a reader is an
    /// error.
    static func occupy() {
        for number in STDIN_FILENO...STDERR_FILENO where fcntl(number, F_GETFD) < 0 && errno == EBADF {
            if number == STDIN_FILENO { hadNoInput.store(true, ordering: .relaxed) }
            // The lowest free number is this one.
            _ = open("/", O_RDONLY | O_DIRECTORY)
        }
    }
}
