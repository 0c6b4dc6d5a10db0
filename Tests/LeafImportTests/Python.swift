import Foundation

/// A Python that has what a test asks for, named by `LEAF_PYTHON` or found as `python3`.
enum Python {
    static let path: String? = {
        if let path = ProcessInfo.processInfo.environment["LEAF_PYTHON"] { return path }
        let folders = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        return folders.map { "\($0)/python3" }.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()

    /// Whether modules are installed; they are not loaded.
    static func has(_ modules: String...) -> Bool {
        let program = "import sys, importlib.util as u; sys.exit(not all(map(u.find_spec, sys.argv[1:])))"
        return run(program, modules) != nil
    }

    /// - Returns: standard output, nil if there is no Python or the program fails.
    static func run(_ program: String, _ arguments: [String]) -> String? {
        guard let path else { return nil }
        let process = Process()
        process.executableURL = URL(filePath: path)
        process.arguments = ["-c", program] + arguments
        let output = Pipe()
        process.standardOutput = output
        process.standardError = FileHandle.nullDevice
        guard (try? process.run()) != nil else { return nil }
        let data = output.fileHandleForReading.readDataToEndOfFile()
        process.waitUntilExit()
        return process.terminationStatus == 0 ? String(decoding: data, as: UTF8.self) : nil
    }
}
