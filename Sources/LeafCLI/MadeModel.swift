import LeafFormat
import LeafSystem
import Leafcutter

/// What a command made: the result of each way to make a model file.
protocol MadeModel {
    var output: String { get }
    var parameters: Int { get }
    var bytes: Int { get }
    var seconds: Double { get }
    var peakBytes: Int { get }
    var bytesPerSecond: Double { get }
}

extension ConversionResult: MadeModel {}
extension RequantizationResult: MadeModel {}
extension SynthesisResult: MadeModel {}

extension MadeModel {
    /// Tells of the file in a line, and as JSON where that is wanted.
    ///
    /// - Parameters:
    ///   - making: how it was made; nil for the time that this run took.
    ///   - asked: fields of what it was made by.
    func tell(
        _ terminal: Terminal, _ weights: some WeightsWord, asJSON: Bool, making: String? = nil,
        asked: [(String, JSON)] = []
    ) {
        let making =
            making ?? "made in \(seconds.asDuration) at \(bytesPerSecond.asByteRate); "
            + "peak memory \(ByteCount(bytes: peakBytes))"
        terminal.note(
            "\(output): \(Quantity.parameters(parameters)) parameters, "
                + "\(bytes.diskText) (\(weights.format.rawValue)), \(making)")
        guard asJSON else { return }
        let made: [(String, JSON)] = [
            ("parameters", .integer(parameters)), ("bytes", .integer(bytes)), ("seconds", .number(seconds)),
            ("weights", .string(weights.rawValue)), ("peak_bytes", .integer(peakBytes)),
            ("bytes_per_second", .number(bytesPerSecond)),
        ]
        terminal.output.write(JSON.object([("output", .string(output))] + asked + made).line + "\n")
    }
}
