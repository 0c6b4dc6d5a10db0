import Foundation
import GoldenSupport
import LeafExecutor
import LeafFormat
import LeafGeneration
import LeafImport
import LeafSystem
import Leafcutter
import Testing

/// Codes that are chosen by what a model meets in a text.
@Suite("Calibration") struct CalibrationTests {
    private static let model = "ant-tiny-c"

    private static func windows(_ count: Int, length: Int = 60) -> [[Int32]] {
        var generator = SeededGenerator(seed: 7)
        return (0..<count).map { _ in
            [6] + (1..<length).map { _ in Int32.random(in: 8..<60, using: &generator) }
        }
    }

    /// A low-bit copy that the text chose the codes of.
    private static func requantize(
        _ path: String, to weights: WeightFormat, at output: String, _ windows: [[Int32]],
        _ options: ModelOptions = ModelOptions(memory: .gibibytes(1))
    ) throws {
        let file = try ModelFile(path: path)
        var requantization = RequantizationOptions()
        requantization.weights = weights
        _ = try Requantizer(model: path, output: output, options: requantization).run(
            calibrate: { () throws(LeafError) in
                let calibration = try Calibration(file, beside: output, options)
                for window in windows { try calibration.read(window, cancellation: Cancellation()) }
                return try calibration.finish()
            }, isCancelled: { false }, progress: { _ in })
    }

    @Test(arguments: [WeightFormat.q4, .q3]) func theTextAloneDecidesTheBytes(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert(Self.model, form: "cpm-live", weights: .int8, to: path)
        let windows = Self.windows(3)
        var files: [Data] = []
        var several = ModelOptions(memory: .gibibytes(1), threads: 3, instructionSet: .scalar)
        several.reading = .init(mode: .direct)
        let small = ModelOptions(memory: .bytes(64 << 20), threads: 1)
        for options in [ModelOptions(memory: .gibibytes(1), threads: 2), several, small] {
            let output = directory.path("copy\(files.count).leaf")
            try Self.requantize(path, to: weights, at: output, windows, options)
            files.append(try Data(contentsOf: URL(filePath: output)))
        }
        #expect(files[1] == files[0] && files[2] == files[0])
        let other = directory.path("other.leaf")
        try Self.requantize(path, to: weights, at: other, Self.windows(4))
        #expect(try Data(contentsOf: URL(filePath: other)) != files[0])
        let names = try FileManager.default.contentsOfDirectory(atPath: directory.path(""))
        #expect(names.allSatisfy { !$0.hasSuffix(".products") })
    }

    /// What it is made for: on the text itself the logits are nearer to those of the int8 model.
    @Test(arguments: [WeightFormat.q4, .q3]) func logitsOfTheTextAreNearer(weights: WeightFormat) throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert(Self.model, form: "cpm-live", weights: .int8, to: path)
        let windows = Self.windows(8)
        let (plain, calibrated) = (directory.path("plain.leaf"), directory.path("calibrated.leaf"))
        var requantization = RequantizationOptions()
        requantization.weights = weights
        _ = try Requantizer(model: path, output: plain, options: requantization).run()
        try Self.requantize(path, to: weights, at: calibrated, windows)

        func logits(_ path: String) throws -> [Float] {
            let options = ModelOptions(memory: .gibibytes(1), capacity: .init(context: 120, logitRows: 120))
            let cases = windows.map { LogitsCase(id: "", inputIDs: $0) }
            return try Fixture.logits(Model(ModelFile(path: path), options), cases).flatMap { $0.flatMap { $0 } }
        }
        let reference = try logits(path)
        func error(_ path: String) throws -> Double {
            zip(try logits(path), reference).reduce(0) { $0 + pow(Double($1.0 - $1.1), 2) }
        }
        #expect(try error(calibrated) < 0.8 * error(plain))
        let origin = try LeafFile.open(path: calibrated).metadata[LeafMetadata.Key.calibration]
        #expect(origin?.hasPrefix("480 tokens ") == true)
    }

    @Test func int8IsNotChosenByAText() throws {
        let directory = try TemporaryDirectory()
        let path = directory.path("model.leaf")
        try Fixture.convert(Self.model, form: "cpm-live", weights: .q4, to: path)
        let error = #expect(throws: LeafError.self) {
            try Self.requantize(path, to: .int8, at: directory.path("copy.leaf"), Self.windows(1))
        }
        #expect(error?.kind == .usage && error?.advice == .without("calibrate"))
    }
}
