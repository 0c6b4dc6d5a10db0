import Glibc
import LeafExecutor
import LeafFormat
import LeafSystem
import Leafcutter

/// The machine and the time of a benchmark.
struct BenchMachine: Decodable {
    var processor: String
    var threads: Int
    var memoryBytes: Int
    var instructionSet: String
    var date: String

    enum CodingKeys: String, CodingKey {
        case processor, threads, date
        case memoryBytes = "memory_bytes"
        case instructionSet = "instruction_set"
    }
}

extension BenchMachine {
    /// Describes this machine, now.
    init(threads: Int, _ instructionSet: InstructionSet) {
        self.threads = threads
        self.instructionSet = instructionSet.rawValue
        memoryBytes = Machine.current().totalBytes
        processor = KernelFeatures.current().processor
        var now = time(nil)
        var parts = tm()
        gmtime_r(&now, &parts)
        func digits(_ value: Int32) -> String { (value < 10 ? "0" : "") + "\(value)" }
        date =
            "\(parts.tm_year + 1900)-\(digits(parts.tm_mon + 1))-\(digits(parts.tm_mday)) "
            + "\(digits(parts.tm_hour)):\(digits(parts.tm_min)) UTC"
    }
}

extension BenchMachine {
    var json: JSON {
        [
            "processor": .string(processor), "threads": .integer(threads), "memory_bytes": .integer(memoryBytes),
            "instruction_set": .string(instructionSet), "date": .string(date),
        ]
    }
}
