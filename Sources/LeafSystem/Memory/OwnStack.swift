internal import Glibc

/// A stack that no limit of the shell cuts.
///
/// The first thread's stack ends where `ulimit -s` says, and what lies deeper ends the program without a word. Where
/// that is near, the command runs on a thread of its own, which takes the signals in place of the first.
package enum OwnStack {
    /// What threads of this program have, and more than a command uses.
    private static let bytes = 1 << 20

    /// Runs `body`, on this thread if its stack is large enough, and waits for it.
    package static func run(_ body: @escaping @Sendable () -> Void) {
        guard let limit = AddressLimit.stack(), limit < bytes, start(body) else { return body() }
    }

    /// - Returns: whether there was such a thread. It has ended.
    private static func start(_ body: @escaping @Sendable () -> Void) -> Bool {
        var attributes = pthread_attr_t()
        guard pthread_attr_init(&attributes) == 0 else { return false }
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, bytes)
        let raw = Unmanaged.passRetained(Work(body)).toOpaque()
        var thread: pthread_t = 0
        let status = pthread_create(
            &thread, &attributes,
            { raw in
                if let raw { Unmanaged<Work>.fromOpaque(raw).takeRetainedValue().body() }
                return nil
            }, raw)
        guard status == 0 else {
            Unmanaged<Work>.fromOpaque(raw).release()
            return false
        }
        // It has the mask that this thread had until now.
        var all = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, nil)
        pthread_join(thread, nil)
        return true
    }

    private final class Work: Sendable {
        let body: @Sendable () -> Void
        init(_ body: @escaping @Sendable () -> Void) { self.body = body }
    }
}
