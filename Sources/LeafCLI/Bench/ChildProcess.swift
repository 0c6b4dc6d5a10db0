import CProgram
import Glibc
import LeafSystem
import Leafcutter

/// Runs this program again with other words. Peak memory is counted for a whole process, so each budget needs its own.
struct ChildProcess {
    enum End: Equatable {
        case exited(Int32)
        case killed(signal: Int32)
    }

    let output: [UInt8]
    let end: End

    /// Set in the child alone.
    private static let mark = "LEAFCUTTER_CHILD"

    /// Whether this process was started by another of this program.
    static var isCurrent: Bool { getenv(mark) != nil }

    /// Runs `leafcutter WORDS` and waits; both processes share standard error.
    /// - Parameter interrupt: its signals go on to the child meanwhile.
    /// - Throws: `.io` if the system cannot start a process.
    init(_ words: [String], passing interrupt: Interrupt) throws(LeafError) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw Self.failure(errno) }
        defer { close(ends[0]) }
        let started = Self.spawn(words, output: ends)
        close(ends[1])
        let process = try started.get()
        interrupt.passOn(to: process)
        output = Self.readAll(ends[0])
        // Its number belongs to nobody else before it has been waited for in earnest.
        var information = siginfo_t()
        _ = retrying { checked(waitid(P_PID, id_t(process), &information, WEXITED | WNOWAIT)) }
        interrupt.passOnNoMore()
        var status: Int32 = 0
        _ = retrying { checked(waitpid(process, &status, 0)) }
        let signal = status & 0x7F
        end = signal == 0 ? .exited(status >> 8 & 0xFF) : .killed(signal: signal)
    }

    private static func spawn(_ words: [String], output ends: [Int32]) -> Result<pid_t, LeafError> {
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO)
        for end in ends where end > STDERR_FILENO { posix_spawn_file_actions_addclose(&actions, end) }
        // What this program ignores or blocks would stay so in the child. What was ignored when it began stays so.
        var attributes = posix_spawnattr_t()
        posix_spawnattr_init(&attributes)
        defer { posix_spawnattr_destroy(&attributes) }
        var signals = sigset_t()
        sigemptyset(&signals)
        posix_spawnattr_setsigmask(&attributes, &signals)
        for number in [SIGPIPE, SIGXFSZ, SIGUSR1, SIGUSR2] { sigaddset(&signals, number) }
        posix_spawnattr_setsigdefault(&attributes, &signals)
        posix_spawnattr_setflags(&attributes, Int16(POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETSIGMASK))

        var arguments = (["leafcutter"] + words).map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        setenv(mark, "1", 1)
        var process: pid_t = 0
        var code = posix_spawn(&process, "/proc/self/exe", &actions, &attributes, &arguments, environ)
        guard code == ENOENT || code == EACCES else { return code == 0 ? .success(process) : .failure(failure(code)) }
        // Without /proc there is still the name by which this program was started.
        if let name = leaf_argument(0) {
            code = posix_spawnp(&process, name, &actions, &attributes, &arguments, environ)
            if code == 0 { return .success(process) }
        }
        return .failure(
            LeafError(
                .io,
                "bench starts itself for each budget and does not find itself (\(LeafError.reason(of: code))); "
                    + "start it by its whole path, or measure one budget with --in-process"))
    }

    private static func readAll(_ descriptor: Int32) -> [UInt8] {
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4096)
        while true {
            let count = retrying { checked(read(descriptor, &piece, piece.count)) }
            guard count > 0 else { return bytes }
            bytes += piece[..<count]
        }
    }

    private static func failure(_ code: Int32) -> LeafError {
        LeafError(.io, "cannot start a process for the measurement: \(LeafError.reason(of: code))")
    }
}
