import Glibc
import LeafSystem
import Leafcutter
import Synchronization

/// Ctrl-C, SIGTERM, or the end of the terminal: asks for a clean stop. A second one ends the process at once, with the
/// code that shells give it (128 and its number). SIGHUP counts for neither: a closed terminal sends it twice. A signal
/// that was ignored when the program began stays ignored, in a child too.
///
/// A handler sets a flag, which needs no thread: the program can be stopped where no thread can be started. The handler
/// also rings a bell, whose thread cancels what waits.
///
/// That thread takes the signals, too, where it could be started. A second signal that comes before the first one was
/// taken is lost in the kernel, and a thread that computes, or waits for the disk, takes one after milliseconds.
///
/// Where something is still to be said before the end (`lastWords`), that thread says it after the second signal. It
/// has a second for it: the alarm that is set then ends the process whatever happens.
final class Interrupt: Sendable {
    /// Signals belong to the process, and so does this. Whoever looks first catches them.
    static let shared = Interrupt()

    /// What a first signal cancels.
    let cancellation = Cancellation()
    /// One bit for each signal that came.
    private static let seen = Atomic<UInt64>(0)
    private static let signals = [SIGINT, SIGTERM, SIGHUP]
    /// Where a handler writes, so that a thread learns of the signal: a handler must not take a lock.
    private static let bell = Atomic<Int32>(-1)
    /// A process that learns of the signals too; 0 while there is none.
    private static let child = Atomic<pid_t>(0)
    /// How the child learns of Ctrl-C, which a terminal sends to both: by a signal that does not count as a second one.
    private static let passedInterrupt = Atomic<Int32>(SIGHUP)
    /// Whether there is something to say before the end, and the code of an end that has begun; 0 before.
    private static let hasLastWords = Atomic<Bool>(false)
    private static let endCode = Atomic<Int32>(0)
    private let lastWords = Mutex<@Sendable () -> Void>({})
    /// The thread whose waiting a signal interrupts: the one that does what the command says.
    private static let worker = Atomic<pthread_t>(0)
    /// Interrupts it. Means nothing to a program that does not ask for it.
    private static let nudge = SIGURG

    /// Lets the signals through. A program that is started by a thread that blocks them, as Foundation and Dispatch do,
    /// would never get any.
    static func unblock() {
        mask(SIG_UNBLOCK, signals)
    }

    private static func mask(_ how: Int32, _ numbers: [Int32]) {
        var set = sigset_t()
        sigemptyset(&set)
        for number in numbers { sigaddset(&set, number) }
        pthread_sigmask(how, &set, nil)
    }

    private init() {
        // Initialized before a handler reads them.
        _ = Self.seen.load(ordering: .relaxed)
        _ = Self.child.load(ordering: .relaxed)
        _ = (Self.hasLastWords.load(ordering: .relaxed), Self.endCode.load(ordering: .relaxed))
        // The child ignores what this process does.
        if Self.isIgnored(SIGHUP) { Self.passedInterrupt.store(SIGTERM, ordering: .releasing) }
        Self.worker.store(pthread_self(), ordering: .releasing)
        var ends: [Int32] = [-1, -1]
        _ = pipe(&ends)
        for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(ends[1], F_SETFL, O_NONBLOCK)
        Self.bell.store(ends[1], ordering: .releasing)
        let listening = ends[0]
        // Where no thread can be started, nothing waits that would have to be cancelled.
        let status = SystemCalls.real.startThread { [self] in
            Self.unblock()
            var byte: UInt8 = 0
            while retrying({ checked(read(listening, &byte, 1)) }) > 0 {
                cancellation.cancel()
                let code = Self.endCode.load(ordering: .acquiring)
                guard code != 0 else { continue }
                lastWords.withLock { $0 }()
                _exit(code)
            }
        }
        for number in Self.signals where !Self.isIgnored(number) {
            Self.handle(number) { number in
                let bit: UInt64 = 1 << UInt64(number)
                let before = Interrupt.seen.bitwiseOr(bit, ordering: .acquiringAndReleasing).oldValue
                let code = errno
                Interrupt.pass(number)
                if before & ~(1 << UInt64(SIGHUP)) != 0, number != SIGHUP { Interrupt.end(with: 128 + number) }
                var byte: UInt8 = 1
                _ = write(Interrupt.bell.load(ordering: .acquiring), &byte, 1)
                let worker = Interrupt.worker.load(ordering: .acquiring)
                if worker != pthread_self() { pthread_kill(worker, Interrupt.nudge) }
                errno = code
            }
        }
        guard status == 0 else { return }
        Self.handle(SIGALRM) { _ in _exit(Interrupt.endCode.load(ordering: .acquiring)) }
        Self.handle(Self.nudge) { _ in }
        Self.mask(SIG_UNBLOCK, [Self.nudge])
        Self.mask(SIG_BLOCK, Self.signals)
    }

    private static func handle(_ number: Int32, _ handler: @escaping @convention(c) (Int32) -> Void) {
        var action = sigaction()
        action.__sigaction_handler.sa_handler = handler
        action.sa_flags = SA_RESTART
        sigaction(number, &action, nil)
    }

    /// Ends the process, from a handler: at once, or once the last words are said. A third signal ends it at once.
    private static func end(with code: Int32) {
        let isSaying = endCode.exchange(code, ordering: .acquiringAndReleasing) != 0
        guard hasLastWords.load(ordering: .acquiring), !isSaying else { _exit(code) }
        alarm(1)
    }

    /// From now on, says something when a second signal ends the process, if that takes no time.
    func beforeEnd(_ body: @escaping @Sendable () -> Void) {
        lastWords.withLock { $0 = body }
        Self.hasLastWords.store(true, ordering: .releasing)
    }

    /// There is nothing more to say.
    func endsAtOnce() { Self.hasLastWords.store(false, ordering: .releasing) }

    var isRequested: Bool { Self.seen.load(ordering: .acquiring) != 0 }

    /// - Throws: `.cancelled` after a signal.
    func check() throws(LeafError) {
        if isRequested { throw LeafError(.cancelled, "interrupted") }
    }

    /// Whether a signal came, without an object, for what has to end whoever asked for it.
    static var isAnyRequested: Bool { seen.load(ordering: .acquiring) != 0 }

    /// From now on signals go on to a child; so does one that came before.
    func passOn(to process: pid_t) {
        Self.child.store(process, ordering: .sequentiallyConsistent)
        let seen = Self.seen.load(ordering: .sequentiallyConsistent)
        for number in Self.signals where seen & 1 << UInt64(number) != 0 { Self.pass(number) }
    }

    /// The child is gone.
    func passOnNoMore() { Self.child.store(0, ordering: .sequentiallyConsistent) }

    private static func pass(_ number: Int32) {
        let process = child.load(ordering: .sequentiallyConsistent)
        if process > 0 { kill(process, number == SIGINT ? passedInterrupt.load(ordering: .acquiring) : number) }
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        sigaction(number, nil, &action)
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self)
            == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
