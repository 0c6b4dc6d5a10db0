import Foundation
import GoldenSupport
import Synchronization
import Testing

/// The program that users run, as `make test` builds it: with the Swift runtime inside.
enum Program {
    static let url = ProcessInfo.processInfo.environment["LEAFCUTTER_BIN"].map { URL(fileURLWithPath: $0) }
    static let isBuilt = url != nil
    static let cap = Golden.repository.appendingPathComponent("Scripts/with-memory-cap")

    /// Whether this machine lets us make memory cgroups.
    static let hasCgroups: Bool = {
        guard isBuilt else { return false }
        let probe = Process()
        probe.executableURL = cap
        probe.arguments = ["64M", "--no-drop", "--", "true"]
        probe.standardError = FileHandle.nullDevice
        return (try? probe.run()).map {
            probe.waitUntilExit()
            return probe.terminationStatus == 0
        } ?? false
    }()

    /// What standard input is.
    enum Input {
        case none
        case file(String)
        /// The file's bytes, through a pipe.
        case pipe(String)
    }

    struct Outcome {
        let status: Int32
        let output: Data
        let errors: String
        /// The most bytes that were resident: those that its control group was charged, or else the program's own.
        let peak: Int
        /// How often the control group's limit was hit.
        let limitHits: Int?
    }

    /// The smallest budget, near the one that the first refusal names, which has to be enough.
    static func smallestBudget(_ run: (_ budget: Int) throws -> Outcome) throws -> Int {
        var budget = 16 << 20
        let outcome = try run(budget)
        if outcome.status != 0 {
            try #require(outcome.status == 3, "\(outcome.errors)")
            let number = try #require(outcome.errors.split(separator: "--memory ").last?.prefix { $0.isNumber })
            let named = try #require(Int(number)) << 20
            #expect(named > budget)
            budget = named
            let taken = try run(budget)
            try #require(taken.status == 0, "a second refusal: \(taken.errors)")
        }
        while try run(budget - (1 << 20)).status == 0 { budget -= 1 << 20 }
        return budget
    }

    /// - Parameter limit: bytes that a control group of the program's own may be charged.
    static func run(_ arguments: [String], _ input: Input = .none, under limit: Int? = nil) throws -> Outcome {
        try run(#require(url), arguments, input, under: limit)
    }

    /// Starts a server, asks it for a text, and stops it.
    ///
    /// - Returns: with the answer as its output; no output of one that did not start.
    static func serve(_ arguments: [String], asking body: String, under limit: Int? = nil) throws -> Outcome {
        let words = arguments + ["--listen", "127.0.0.1:0"]
        return try run(#require(url), words, under: limit, while: Client(body: body, isCapped: limit != nil).ask)
    }

    /// What is done while a program runs: its output comes of it, and what it has read of what the program says.
    typealias Visit = (_ process: Process, _ errors: FileHandle) throws -> (output: Data, errors: Data)

    static func run(
        _ program: URL, _ arguments: [String], _ input: Input = .none, under limit: Int?, while visit: Visit? = nil
    ) throws -> Outcome {
        guard let limit else { return try run(program, arguments, input, while: visit) }
        let outcome = try run(cap, ["\(limit)", "--no-drop", "--", program.path] + arguments, input, while: visit)
        func number(_ name: String) throws -> Double {
            let text = outcome.errors.components(separatedBy: "\(name)=").last?.prefix { $0.isNumber || $0 == "." }
            return try #require(text.flatMap { Double($0) }, "\(outcome.errors)")
        }
        return Outcome(
            status: outcome.status, output: outcome.output, errors: outcome.errors,
            peak: Int(try number("peak") * Double(1 << 20)), limitHits: Int(try number("failcnt")))
    }

    static func run(
        _ program: URL, _ arguments: [String], _ input: Input = .none, while visit: Visit? = nil
    ) throws -> Outcome {
        let process = Process()
        process.executableURL = program
        process.arguments = arguments
        let feeder = try standardInput(of: process, input)
        let output = Pipe()
        let errors = Pipe()
        process.standardOutput = output
        process.standardError = errors
        try process.run()
        let watch = PeakWatch(process.processIdentifier)
        let visited = try visit?(process, errors.fileHandleForReading)
        let data = visited?.output ?? output.fileHandleForReading.readDataToEndOfFile()
        let text = (visited?.errors ?? Data()) + errors.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        feeder?.terminate()
        return Outcome(
            status: process.terminationStatus, output: data, errors: String(decoding: text, as: UTF8.self),
            peak: watch.end(), limitHits: nil)
    }

    /// - Returns: the process that fills a pipe.
    private static func standardInput(of process: Process, _ input: Input) throws -> Process? {
        switch input {
        case .none: process.standardInput = FileHandle.nullDevice
        case .file(let path): process.standardInput = try FileHandle(forReadingFrom: URL(fileURLWithPath: path))
        case .pipe(let path):
            let pipe = Pipe()
            let feeder = Process()
            feeder.executableURL = URL(fileURLWithPath: "/bin/cat")
            feeder.arguments = [path]
            feeder.standardOutput = pipe
            // Its reader may be done before the end.
            feeder.standardError = FileHandle.nullDevice
            try feeder.run()
            process.standardInput = pipe
            return feeder
        }
        return nil
    }
}

/// Whoever asks a server that has just been started.
private struct Client {
    /// Of a request for a text.
    let body: String
    /// Whether the server is the child of a script that waits for it.
    let isCapped: Bool

    func ask(_ process: Process, _ errors: FileHandle) throws -> (output: Data, errors: Data) {
        var said = Data()
        while true {
            let piece = errors.availableData
            said += piece
            let line = String(decoding: said, as: UTF8.self).split(separator: "\n", omittingEmptySubsequences: false)
                .dropLast().first { $0.hasPrefix("listening on http://127.0.0.1:") }
            if let line {
                let port = try #require(UInt16(line.dropFirst(30).prefix { $0.isNumber }))
                // It ends whatever comes of the request.
                defer { kill(server(process), SIGTERM) }
                return (try answer(at: port), said)
            }
            guard !piece.isEmpty else { return (Data(), said) }
        }
    }

    private func server(_ process: Process) -> Int32 {
        let own = process.processIdentifier
        let path = "/proc/\(own)/task/\(own)/children"
        guard isCapped, let children = try? String(contentsOfFile: path, encoding: .utf8),
            let child = children.split(separator: " ").first.flatMap({ Int32($0) })
        else { return own }
        return child
    }

    private func answer(at port: UInt16) throws -> Data {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        let status = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        try #require(status == 0)
        let stream = FileHandle(fileDescriptor: descriptor)
        let head =
            "POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n"
            + "Content-Type: application/json\r\nContent-Length: \(body.utf8.count)\r\n\r\n"
        try stream.write(contentsOf: Data((head + body).utf8))
        return stream.readDataToEndOfFile()
    }
}

/// Reads a process's `VmHWM`, which only grows, until it ends: what the process reports itself need not be believed.
private final class PeakWatch: Sendable {
    private let peak = Mutex(0)
    private let isOver = Mutex(false)
    private let hasEnded = DispatchSemaphore(value: 0)

    init(_ process: Int32) {
        // A thread of its own: a queue's threads may all be waiting in other tests.
        Thread.detachNewThread { [self] in
            while !isOver.withLock({ $0 }) {
                guard let text = try? String(contentsOfFile: "/proc/\(process)/status", encoding: .utf8),
                    let line = text.split(separator: "\n").first(where: { $0.hasPrefix("VmHWM:") }),
                    let kibibytes = Int(line.dropFirst(6).filter(\.isNumber))
                else { break }
                peak.withLock { $0 = max($0, kibibytes << 10) }
                usleep(2000)
            }
            hasEnded.signal()
        }
    }

    /// - Returns: the largest value that was read, in bytes.
    func end() -> Int {
        isOver.withLock { $0 = true }
        hasEnded.wait()
        return peak.withLock { $0 }
    }
}
