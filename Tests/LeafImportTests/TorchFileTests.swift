import CPMAntShape
import Foundation
import GoldenSupport
import LeafFormat
import LeafImport
import LeafSystem
import Testing

/// `Tests/Golden/import`: one model in every way that torch saves, by `Scripts/make-import-fixtures.py`.
@Suite("torch checkpoints") struct TorchFileTests {
    static func plain() throws -> Conversion { try Conversion(Forms.fixture("plain.safetensors"), .float32) }

    @Test(arguments: [
        "plain.pt", "column-major.pt", "sliced.pt", "every-other.pt", "one-storage.pt", "bfloat16.pt", "float64.pt",
        "parameters.pt", "protocol-4.pt", "legacy.pt",
    ])
    func everyWayOfSavingHoldsTheSameNumbers(name: String) throws {
        let expected = try Self.plain()
        let conversion = try Conversion(Forms.fixture(name), .float32)
        #expect(try conversion.data() == expected.data())
    }

    @Test func plainHoldsTheSourcesNumbers() throws {
        let conversion = try Self.plain()
        let configuration = conversion.file.configuration
        let truth = try Truth(Forms.fixture("plain.safetensors"), configuration, prefix: "")
        for matrix in conversion.file.matrices {
            let divisor = Double(matrix.columns).squareRoot()
            let expected = truth.floats(matrix.name).map { Float(Double($0) / divisor) }
            #expect(try conversion.matrix(matrix.name) == expected, "\(matrix.name)")
        }
    }

    @Test func bmcookWeightsAreNotRoundedAgain() throws {
        let conversion = try Conversion(Forms.fixture("bmcook.pt"))
        let truth = try Truth(Forms.fixture("plain.safetensors"), conversion.file.configuration, prefix: "")
        for matrix in conversion.file.matrices where matrix.name != TensorName.tokenTable {
            let source = truth.floats(matrix.name)
            let values = try conversion.quantized(matrix.name)
            let scales = try conversion.rows.resident(FileShape.scaleName(of: matrix.name))
            for row in 0..<matrix.outputs {
                let weights = source[row * matrix.columns..<(row + 1) * matrix.columns]
                let scale = Float(Float16(weights.map(\.magnitude).max()! / 127))
                let expected = weights.map { Int8(min(max(($0 / scale).rounded(.toNearestOrEven), -127), 127)) }
                #expect(Array(values[row][0..<matrix.columns]) == expected)
                #expect(scales[row] == Float(Double(scale) / Double(matrix.columns).squareRoot()))
            }
        }
        // Dequantized, it is the same model.
        let floats = try Conversion(Forms.fixture("bmcook.pt"), .float32)
        let name = TensorName.feedForwardMatrices(layer: 1)[2]
        let pairs = zip(try conversion.matrix(name), try floats.matrix(name))
        #expect(pairs.allSatisfy { ($0 - $1).magnitude <= $0.magnitude * ConverterTests.foldingTolerance })
    }

    @Test(arguments: [
        ("refused-system.pt", "`posix.system`"),
        ("refused-eval.pt", "`builtins.eval`"), ("refused-packed.pt", "packed"),
        ("refused-module.pt", "torch.nn.modules.linear.Linear"), ("refused-cut.pt", "not a whole zip archive"),
    ])
    func whatIsNoStateDictIsRefused(name: String, reason: String) throws {
        let error = failure { _ = try Conversion(Forms.fixture(name)) }
        #expect(error?.kind == .badInput)
        #expect(error?.description.contains(reason) == true, "\(error?.description ?? "no error")")
    }

    @Test(arguments: ["plain.pt", "one-storage.pt", "every-other.pt", "column-major.pt", "bmcook.pt"])
    func aFlippedBitIsFoundOrDoesNotMatter(name: String) throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        let original = try Data(contentsOf: URL(filePath: Forms.fixture(name)))
        let expected = try Conversion(Forms.fixture(name)).data()
        try FileManager.default.copyItem(atPath: Forms.fixture("config.json"), toPath: directory.path("m.json"))
        var refused = 0
        for _ in 0..<40 {
            var data = original
            data[Int.random(in: 0..<data.count, using: &generator)] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
            try data.write(to: URL(filePath: directory.path("m.pt")))
            do {
                #expect(try Conversion(directory.path("m.pt")).data() == expected, "seed \(seed)")
            } catch is LeafError { refused += 1 }
        }
        #expect(refused > 0, "seed \(seed)")
    }

    /// In front of the storages, byte by byte; and cut wherever.
    @Test func oldFilesThatAreBentNeverCrash() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        let original = try Array(Data(contentsOf: URL(filePath: Forms.fixture("legacy.pt"))))
        let output = try OutputFile(path: directory.path("m.pt"))
        var refused = 0
        for round in 0..<1000 {
            var data = original
            data[Int.random(in: 0..<3600, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            if round % 4 == 0 { data.removeLast(Int.random(in: 1..<data.count, using: &generator)) }
            try output.write(data, at: 0)
            try output.truncate(to: data.count)
            let error = failure {
                let checkpoint = try Checkpoint(
                    path: directory.path("m.pt"), configurationPath: Forms.fixture("config.json"), kernels: .best)
                for tensor in checkpoint.residents.values { _ = try? RowReader(tensor).floats(.best) }
            }
            if error != nil { refused += 1 }
            #expect(error == nil || error?.kind == .badInput || error?.kind == .io, "seed \(seed)")
            if round % 4 == 0 { #expect(error != nil, "seed \(seed)") }
        }
        #expect(refused > 250, "seed \(seed)")
    }

    @Test func aBigEndianMachinesOldFileIsRefused() throws {
        let directory = try TemporaryDirectory()
        var data = try Array(Data(contentsOf: URL(filePath: Forms.fixture("legacy.pt"))))
        #expect(data[73] == 0x88)
        data[73] = 0x89
        try data.write(to: directory.path("m.pt"))
        let error = failure {
            _ = try Checkpoint(
                path: directory.path("m.pt"), configurationPath: Forms.fixture("config.json"), kernels: .best)
        }
        #expect(error?.description.contains("big-endian") == true)
    }

    @Test func mutatedFilesNeverCrash() throws {
        let seed = UInt64.random(in: 0...UInt64.max)
        var generator = SeededGenerator(seed: seed)
        let directory = try TemporaryDirectory()
        let original = try Data(contentsOf: URL(filePath: Forms.fixture("plain.pt")))
        let config = Forms.fixture("config.json")
        // In place: to cut a file and write it again makes some file systems wait for the disk.
        let output = try OutputFile(path: directory.path("m.pt"))
        var refused = 0
        for _ in 0..<1000 {
            var data = original
            // Mostly the table of tensors at the beginning and the directory at the end.
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let offset =
                    switch Int.random(in: 0..<3, using: &generator) {
                    case 0: Int.random(in: 0..<min(9000, data.count), using: &generator)
                    case 1: data.count - 1 - Int.random(in: 0..<min(4000, data.count), using: &generator)
                    default: Int.random(in: 0..<data.count, using: &generator)
                    }
                data[offset] = UInt8.random(in: 0...255, using: &generator)
            }
            if Int.random(in: 0..<8, using: &generator) == 0 {
                data.removeLast(Int.random(in: 0..<data.count, using: &generator))
            }
            try output.write(Array(data), at: 0)
            try output.truncate(to: data.count)
            let error = failure {
                let checkpoint = try Checkpoint(path: directory.path("m.pt"), configurationPath: config, kernels: .best)
                for tensor in checkpoint.residents.values { _ = try RowReader(tensor).floats(.best) }
            }
            if error != nil { refused += 1 }
        }
        #expect(refused > 250, "seed \(seed)")
    }
}
