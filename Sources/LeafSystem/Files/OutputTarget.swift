import Glibc

/// What a path of a result leads to. Only regular files are ever replaced.
package enum OutputTarget {
    /// A regular file, or a name that nothing has yet: what is written beside it takes the name when it is whole. Links
    /// have been followed.
    case file(path: String)
    /// A device, a pipe, a terminal, standard output (`-`), or a file that is mounted by itself: written straight.
    case stream(descriptor: Int32)

    /// - Throws: `.usage` for a disk or a socket, `.io` for a folder and what cannot be written.
    package init(path: String) throws(LeafError) {
        if let number = Self.descriptor(named: path) {
            let copy = fcntl(number, F_DUPFD_CLOEXEC, 3)
            guard copy >= 0 else { throw .system("\(path) cannot be written", errno) }
            self = .stream(descriptor: copy)
            return
        }
        let target = try Self.followed(path)
        var status = stat()
        guard lstat(target, &status) == 0 else {
            self = .file(path: target)
            return
        }
        switch status.st_mode & S_IFMT {
        case S_IFREG where !Self.isMounted(target): self = .file(path: target)
        case S_IFDIR: throw LeafError(.io, "\(path) is a directory; name a file")
        case S_IFBLK: throw LeafError(.usage, "\(path) is a disk, which would lose all that is on it; name a file")
        case S_IFSOCK: throw LeafError(.usage, "\(path) is a socket, which cannot be written by its name; name a file")
        case S_IFIFO: self = .stream(descriptor: try Self.openPipe(target, path))
        default:
            guard let descriptor = Self.open(target) else { throw .system("\(path) cannot be written", errno) }
            self = .stream(descriptor: descriptor)
        }
    }

    /// What a run keeps beside a result, under the result's name and an ending.
    package enum Companion: String, CaseIterable {
        /// The result until it is whole.
        case part
        /// What of it is done, for a run that goes on.
        case journal
        /// What a text says of a model's inputs.
        case products
        /// Keeps other runs away from a session.
        case lock
        /// Which answers a job has.
        case job
        /// How often a draft was right.
        case acceptance

        /// What is kept beside a model file.
        package static let ofModel: [Companion] = [.part, .journal, .products]
        /// What is kept beside a session.
        package static let ofSession: [Companion] = [.part, .lock]
        /// What a run holds a lock on as long as it writes, or will write, the result.
        static let thatAreLocked: [Companion] = [.part, .journal, .lock, .job]

        /// - Parameter result: where links lead, as `OutputTarget` gives it.
        package func path(of result: String) -> String { "\(result).\(rawValue)" }
    }

    /// The path of a regular file, for results that cannot be written straight.
    ///
    /// - Parameter what: of the file: `a model file`.
    /// - Throws: `.usage` for everything else.
    package static func file(_ path: String, for what: String) throws(LeafError) -> String {
        guard path != Self.standardOutput else { throw noFile(for: what) }
        let other = LeafError(.usage, "\(path) is no regular file that \(what) could replace; give another name")
        // A pipe is not opened, because that would wait for its reader.
        var status = stat()
        if descriptor(named: path) == nil, stat(path, &status) == 0,
            [S_IFIFO, S_IFCHR, S_IFSOCK].contains(status.st_mode & S_IFMT)
        {
            throw other
        }
        switch try OutputTarget(path: path) {
        case .file(let path): return path
        case .stream(let descriptor):
            close(descriptor)
            throw other
        }
    }

    /// The name of standard output where results are named.
    package static let standardOutput = "-"

    /// What to say where standard output is named for what has to be a file or a folder.
    package static func noFile(for what: String) -> LeafError {
        LeafError(
            .usage,
            "- is standard output, which cannot hold \(what); give a name (./- is the file that is called so)")
    }

    /// Refuses a result that would take the place of a file that it is made from, by whatever name, or one that is kept
    /// beside it.
    ///
    /// - Parameters:
    ///   - companions: what is kept beside it.
    ///   - inputs: paths; `-` is standard input. Only regular files can be lost: folders, pipes, devices and what is
    ///     not there pass.
    /// - Throws: `.usage`.
    package static func check(
        _ output: String, with companions: [Companion] = Companion.ofModel, isNoneOf inputs: [String]
    ) throws(LeafError) {
        for written in try written(output, with: companions) {
            guard let lost = FilePath.identity(of: written, followsLinks: true), lost.isRegular else { continue }
            for input in inputs
            where FilePath.identity(of: input == "-" ? "/dev/stdin" : input, followsLinks: true) == lost {
                let name = input == "-" ? "standard input" : input
                throw LeafError(
                    .usage, "the result \(output) would overwrite \(name), which it is made from; give it another name")
            }
        }
    }

    /// Where a result is written: where links lead, and what is kept beside that.
    package static func written(_ output: String, with companions: [Companion]) throws(LeafError) -> [String] {
        let output = output == standardOutput ? "/dev/stdout" : output
        let target = try descriptor(named: output) == nil ? followed(output) : output
        return [target] + companions.map { $0.path(of: target) }
    }

    /// Refuses a result that would take the place of another one of the same run, by whatever names, and whether or not
    /// anything is there yet.
    ///
    /// - Parameters:
    ///   - written: paths of the result, and of what is written beside it.
    ///   - others: the same of the other ones.
    /// - Throws: `.usage`.
    package static func check(_ written: [String], isApartFrom others: [String]) throws(LeafError) {
        for path in written {
            guard let place = try Place(path) else { continue }
            for other in others where try Place(other) == place {
                throw LeafError(
                    .usage, "\(path) would overwrite \(other), which the same run writes; give it another name")
            }
        }
    }

    /// Where a regular file is, or will be: equal for all its names.
    private enum Place: Equatable {
        case file(FilePath.Identity)
        case name(String, folder: FilePath.Identity)

        /// Nil for what is no regular file, and where none can be.
        init?(_ path: String) throws(LeafError) {
            let path = path == OutputTarget.standardOutput ? "/dev/stdout" : path
            if let identity = FilePath.identity(of: path, followsLinks: true) {
                guard identity.isRegular else { return nil }
                self = .file(identity)
                return
            }
            let target = try OutputTarget.followed(path)
            guard let folder = FilePath.identity(of: FilePath.folder(of: target), followsLinks: true) else {
                return nil
            }
            self = .name(FilePath.name(of: target), folder: folder)
        }
    }

    /// The number of a descriptor that a path means. Opening it anew would write from the beginning of a file.
    package static func descriptor(named path: String) -> Int32? {
        switch path {
        case standardOutput, "/dev/stdout": STDOUT_FILENO
        case "/dev/stderr": STDERR_FILENO
        case _ where path.hasPrefix("/dev/fd/"): Int32(path.dropFirst("/dev/fd/".count))
        case _ where path.hasPrefix("/proc/self/fd/"): Int32(path.dropFirst("/proc/self/fd/".count))
        default: nil
        }
    }

    private static func open(_ target: String) -> Int32? {
        let descriptor = Glibc.open(target, O_WRONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { return nil }
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
        return descriptor
    }

    /// A named pipe wants a reader first, who may be about to come.
    private static func openPipe(_ target: String, _ path: String) throws(LeafError) -> Int32 {
        for _ in 0..<100 {
            if let descriptor = open(target) { return descriptor }
            guard errno == ENXIO else { throw .system("\(path) cannot be written", errno) }
            // A signal ends the wait.
            guard usleep(100_000) == 0 else { throw LeafError(.cancelled, "interrupted") }
        }
        throw LeafError(.io, "\(path) is a pipe that nobody reads; start its reader first")
    }

    /// Where symbolic links lead, whether or not anything is there.
    private static func followed(_ path: String) throws(LeafError) -> String {
        var path = path
        for _ in 0..<40 {
            let room = Int(PATH_MAX)
            var count = 0
            let target = [UInt8](unsafeUninitializedCapacity: room) { buffer, initialized in
                buffer.withMemoryRebound(to: CChar.self) { count = readlink(path, $0.baseAddress!, room) }
                initialized = max(0, count)
            }
            guard count >= 0 else { return path }
            let link = String(decoding: target, as: UTF8.self)
            path = link.hasPrefix("/") ? link : FilePath.folder(of: path) + "/" + link
        }
        throw LeafError(.io, "\(path) is a link that leads to itself; name a file")
    }

    /// Whether something is mounted on exactly this file: its name cannot be given to another then. Without `/proc`
    /// nobody knows, and the end of the work tells.
    private static func isMounted(_ path: String) -> Bool {
        guard let real = realpath(path, nil) else { return false }
        defer { free(real) }
        guard let table = KernelReports.real.file("/proc/self/mountinfo") else { return false }
        // In the table, spaces and such are octal.
        let escaped = String(cString: real).utf8.reduce(into: [UInt8]()) { escaped, byte in
            switch byte {
            case UInt8(ascii: " "): escaped += Array("\\040".utf8)
            case UInt8(ascii: "\t"): escaped += Array("\\011".utf8)
            case UInt8(ascii: "\n"): escaped += Array("\\012".utf8)
            case UInt8(ascii: "\\"): escaped += Array("\\134".utf8)
            default: escaped.append(byte)
            }
        }
        return table.utf8.split(separator: UInt8(ascii: "\n")).contains { line in
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            return fields.count > 4 && fields[4].elementsEqual(escaped)
        }
    }
}
