// swift-format-ignore-file: AlwaysUseLowerCamelCase

package import CLibrary
import Glibc
import LeafFormat
import LeafSystem
import LeafWire
import Leafcutter

@c @implementation
package func lc_plan(
    _ name: UnsafePointer<CChar>!, _ options: UnsafePointer<CChar>!,
    _ json: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>!
) -> lc_status {
    Call.run(json) { () throws(HostError) in
        if HandleTable.shared.isForked { throw .forked }
        let path = try Call.path(name, "path")
        let given = try Call.optionalJSON(options)
        return try Call.given(
            Call.made { () throws(LeafError) in
                try HostOptions(json: given, for: .plan).plan(path).json.line
            })
    }
}

extension HostOptions {
    /// - Parameter name: a file's, or that of a published size.
    /// - Throws: `.budget` with the smallest budget if it does not fit, `.usage`, `.io`, `.badInput`.
    func plan(_ name: String) throws(LeafError) -> PlanAnswer {
        let preset = FilePath.exists(name) ? nil : ModelPreset(rawValue: name)
        if preset != nil, diskRate == nil {
            throw LeafError(.usage, "a preset has no file to measure the disk with; give disk_rate, such as 1GB/s")
        }
        let file = if let preset { try tuned(ModelFile(preset: preset)) } else { try open(name) }
        var options = try modelOptions(file)
        options.drafts = try drafts(usual: "off")
        options.memory = .bytes(try Model.plan(file, options).budget)
        let rates = try MachineRates.measure(
            for: file, rows: options.forecastRows(prompt: context), threads: threads, activations: activations,
            reading: reading, disk: diskRate.map { DiskRate(bytesPerSecond: Double($0.bytesPerSecond)) })
        let outlook = try Outlook(file, options, promptRows: context, rates)
        // Rows of logits that this budget has room for are not what a smaller one needs.
        var smallest = smallestOptions(file)
        smallest.memory = options.memory
        return try PlanAnswer(
            file, outlook.forecast(budget: options.memory.amount), of: outlook, context: context, rates, options,
            smallest: smallest)
    }
}

@c @implementation
package func lc_convert(
    _ source: UnsafePointer<CChar>!, _ target: UnsafePointer<CChar>!, _ options: UnsafePointer<CChar>!,
    _ progress: lc_progress!, _ user: UnsafeMutableRawPointer!
) -> lc_status {
    Call.done { () throws(HostError) in
        if HandleTable.shared.isForked { throw .forked }
        let (source, target) = (try Call.path(source, "source"), try Call.path(target, "target"))
        let json = try Call.optionalJSON(options)
        var isCancelled = false
        try Call.made { () throws(LeafError) in
            _ = try Converter(source: source, output: target, options: conversionOptions(json)).run(
                isCancelled: { isCancelled },
                progress: { done in
                    guard let progress else { return }
                    if progress(UInt64(done.bytesDone), UInt64(done.bytesTotal), user) != 0 { isCancelled = true }
                })
        }
    }
}

private let conversionNames = [
    "weights", "config", "masks", "vocab", "memory", "threads", "force", "no_resume", "consume", "yes",
]

/// - Throws: `.usage` naming the option that makes no sense.
private func conversionOptions(_ json: [UInt8]) throws(LeafError) -> ConversionOptions {
    var options = ConversionOptions()
    options.instructionSet = try InstructionSet.wanted().rawValue
    options.threads = Machine.current().cores
    var isSure = false
    guard !json.isEmpty else { return options }
    var reader = JSONReader(json[...])
    try reader.fields { name, reader throws(LeafError) in
        switch name {
        case "weights":
            let text = try reader.text()
            switch text {
            case "int8": options.weights = .int8
            case "q4": options.weights = .q4
            case "q3": options.weights = .q3
            case "f16": options.weights = .float16
            case "f32": options.weights = .float32
            default: throw reader.wrong("is '\(text.prefix(40))', not one of int8, q4, q3, f16, f32")
            }
        case "config": options.configurationPath = try reader.filePath()
        case "masks": options.masksPath = try reader.filePath()
        case "vocab": options.vocabularyPath = try reader.filePath()
        case "memory": if case .bytes(let bytes) = try HostOptions.memory(&reader) { options.memoryBudget = bytes }
        case "threads": options.threads = try reader.integer()
        case "force": options.replacesExisting = try reader.bool()
        case "no_resume": options.resumes = !(try reader.bool())
        case "consume": options.consumes = try reader.bool()
        case "yes": isSure = try reader.bool()
        default: throw JSONReader.unknown(name, among: conversionNames)
        }
    }
    try reader.end()
    guard isSure || !options.consumes else {
        throw LeafError(
            .usage, "consume deletes the checkpoint while it is converted; set yes as well if that is meant")
    }
    return options
}

@c @implementation
package func lc_verify(
    _ path: UnsafePointer<CChar>!, _ progress: lc_progress!, _ user: UnsafeMutableRawPointer!
) -> lc_status {
    Call.done { () throws(HostError) in
        if HandleTable.shared.isForked { throw .forked }
        let path = try Call.path(path, "path")
        var isCancelled = false
        try Call.made { () throws(LeafError) in
            try HostOptions(json: [], for: .model).open(path).leaf.verify(
                isCancelled: { isCancelled },
                progress: { done in
                    guard let progress else { return }
                    if progress(UInt64(done.bytesDone), UInt64(done.bytesTotal), user) != 0 { isCancelled = true }
                })
        }
    }
}

@c @implementation
package func lc_string_free(_ string: UnsafeMutablePointer<CChar>!) { free(string) }

@c @implementation
package func lc_error_message() -> UnsafePointer<CChar>! { LastError.message }

@c @implementation
package func lc_error_json() -> UnsafePointer<CChar>! { LastError.json }
