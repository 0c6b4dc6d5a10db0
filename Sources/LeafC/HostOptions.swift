import LeafExecutor
import LeafFormat
import LeafStream
import LeafSystem
import LeafWire
import Leafcutter

/// What a program says of a model that it opens or plans for: the long options of the command line in snake_case.
struct HostOptions {
    var memory = MemoryBudget.automatic
    var threads: Int?
    var reading = ReadingOptions()
    var activations = ActivationPrecision.int16
    var kv: KVPrecision?
    var context = 512
    var sequences = 1
    var logitRows: Int?
    var deltas: [NamedFile] = []
    var deltaAlpha: Float?
    var promptEmbeddings: [NamedFile] = []
    /// For plans alone.
    var diskRate: ByteRate?

    private static let contexts = 1...1 << 20
    /// Rows of logits that every model has room for, if its context does.
    private static let fewestLogitRows = 16
    /// Rows of one result of logits.
    static let rowsOfResult = 64
    /// What requests and their answers may take, beside what the model's own demand has for tokens under way.
    private static let requestBytes = 8 << 20

    private static let names = [
        "memory", "threads", "io", "mirror", "max_read_rate", "activations", "kv", "context", "sequences", "batch",
        "logit_rows", "guard", "amx", "speculate", "delta", "deltas", "delta_alpha", "prompt_embedding",
        "prompt_embeddings",
    ]
    private static let namesOfPlan = ["disk_rate", "cores"]

    /// - Parameter isPlan: whether options are known that a plan alone has.
    /// - Throws: `.usage` naming the option that makes no sense.
    init(json: [UInt8], isPlan: Bool) throws(LeafError) {
        guard !json.isEmpty else { return }
        guard json.count <= WireRequest.byteLimit else {
            throw LeafError(.usage, "the options have \(json.count) bytes, more than \(WireRequest.byteLimit)")
        }
        var options = self
        var reader = JSONReader(json[...])
        try reader.fields { name, reader throws(LeafError) in
            if isPlan, try options.readOfPlan(name, &reader) { return }
            guard try options.read(name, &reader) else {
                throw JSONReader.unknown(name, among: Self.names + (isPlan ? Self.namesOfPlan : []))
            }
        }
        try reader.end()
        self = options
        try check()
    }

    private mutating func readOfPlan(_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Bool {
        switch name {
        case "disk_rate": diskRate = try Self.rate(&reader)
        case "cores": threads = try reader.integer(Int.self)
        default: return false
        }
        return true
    }

    private mutating func read(_ name: String, _ reader: inout JSONReader) throws(LeafError) -> Bool {
        switch name {
        case "memory": memory = try Self.memory(&reader)
        case "threads": threads = try reader.integer(Int.self)
        case "io": reading.mode = try Self.choice(&reader)
        case "mirror": reading.mirror = try reader.text()
        case "max_read_rate": reading.maxBytesPerSecond = try Self.rate(&reader).bytesPerSecond
        case "activations": activations = try Self.choice(&reader)
        case "kv": kv = try Self.choice(&reader)
        case "context": context = try reader.integer()
        case "sequences", "batch": sequences = try reader.integer()
        case "logit_rows": logitRows = try reader.integer(Int.self)
        case "guard": reading.guardsMapping = try reader.bool()
        // No kernel of this version uses such units, so there is nothing to ask the system for.
        case "amx": _ = try reader.bool()
        case "speculate": try Self.checkSpeculation(&reader)
        case "delta", "deltas": deltas.append(contentsOf: try Self.files(&reader))
        case "delta_alpha": deltaAlpha = try reader.number()
        case "prompt_embedding", "prompt_embeddings": promptEmbeddings.append(contentsOf: try Self.files(&reader))
        default: return false
        }
        return true
    }

    private func check() throws(LeafError) {
        guard Self.contexts.contains(context) else {
            throw LeafError(.usage, "a context of \(context) is not between 1 and \(Self.contexts.upperBound)")
        }
        guard (1...GenerationOptions.mostSequences).contains(sequences) else {
            throw LeafError(
                .usage, "\(sequences) sequences are not between 1 and \(GenerationOptions.mostSequences)")
        }
        if let logitRows, !(1...context +| sequences).contains(logitRows) {
            throw LeafError(
                .usage, "logit_rows is \(logitRows), where 1 to \(context + sequences) make sense with this context")
        }
        guard deltaAlpha == nil || !deltas.isEmpty else {
            throw LeafError(.usage, "delta_alpha belongs to delta, which is missing")
        }
    }
}

// MARK: Values

extension HostOptions {
    static func memory(_ reader: inout JSONReader) throws(LeafError) -> MemoryBudget {
        if try reader.kind() == .number {
            let bytes = try reader.integer(Int.self)
            guard bytes >= 0 else { throw reader.wrong("is \(bytes), where a number of bytes is wanted") }
            return .bytes(bytes)
        }
        let text = try reader.text()
        if text == "auto" { return .automatic }
        guard let count = ByteCount(text) else {
            throw reader.wrong("is '\(text.prefix(40))', where a size such as 512MiB, 2GiB, bytes or auto is wanted")
        }
        return .bytes(count.bytes)
    }

    private static func rate(_ reader: inout JSONReader) throws(LeafError) -> ByteRate {
        if try reader.kind() == .number {
            let bytes = try reader.integer(Int.self)
            guard bytes > 0 else { throw reader.wrong("is \(bytes), where bytes a second are wanted") }
            // A program counts in bytes, so a small number may be meant.
            if let doubt = ByteRate.doubt(about: "\(bytes)B") { throw reader.wrong("is \(bytes), which \(doubt)") }
            return ByteRate(bytesPerSecond: bytes)
        }
        let text = try reader.text()
        guard let rate = ByteRate(text) else {
            throw reader.wrong("is '\(text.prefix(40))', where a rate such as 200MB/s or 1GiB/s is wanted")
        }
        if let doubt = ByteRate.doubt(about: text) { throw reader.wrong("is '\(text.prefix(40))', which \(doubt)") }
        return rate
    }

    /// One of a few words.
    static func choice<Value: RawRepresentable & CaseIterable>(
        _ reader: inout JSONReader
    ) throws(LeafError) -> Value where Value.RawValue == String {
        let text = try reader.text()
        guard let value = Value(rawValue: text) else {
            let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
            throw reader.wrong("is '\(text.prefix(40))', not one of \(words)")
        }
        return value
    }

    /// Nothing drafts in this version, which is what `auto` may come to as well.
    private static func checkSpeculation(_ reader: inout JSONReader) throws(LeafError) {
        let text = try reader.text()
        guard ["auto", "off"].contains(text) else {
            throw reader.wrong("is '\(text.prefix(40))', where this version has auto and off")
        }
    }

    /// Files and the names by which requests choose: a text (`FILE` or `NAME=FILE`), a list of such, or an object of
    /// names.
    private static func files(_ reader: inout JSONReader) throws(LeafError) -> [NamedFile] {
        func file(_ text: String, _ reader: JSONReader) throws(LeafError) -> NamedFile {
            guard let file = NamedFile(argument: text) else {
                throw reader.wrong("holds '\(text.prefix(40))', where a file, or NAME=FILE, is wanted")
            }
            return file
        }
        var files: [NamedFile] = []
        switch try reader.kind() {
        case .list:
            try reader.list { reader throws(LeafError) in files.append(try file(reader.text(), reader)) }
        case .object:
            try reader.object { name, reader throws(LeafError) in
                files.append(NamedFile(name: name, path: try reader.text()))
            }
        default: files.append(try file(reader.text(), reader))
        }
        return files
    }
}

// MARK: What a model is opened for

extension HostOptions {
    /// - Throws: `.io`, `.badInput`, `.budget`, `.usage`.
    func open(_ path: String) throws(LeafError) -> ModelFile {
        try tuned(ModelFile(path: path, toPlanFor: memory))
    }

    /// The file with adapters and soft prompts.
    func tuned(_ model: ModelFile) throws(LeafError) -> ModelFile {
        var file = model
        for delta in deltas { try file.addAdapter(path: delta.path, alpha: deltaAlpha, named: delta.name) }
        for prompt in promptEmbeddings { try file.addSoftPrompt(path: prompt.path, named: prompt.name) }
        return file
    }

    /// How the model is opened: with as many rows of logits as its context has, if those take no more than half of the
    /// budget, and fewer otherwise.
    ///
    /// - Throws: `.budget` with the smallest budget that works, `.usage`.
    func modelOptions(_ file: ModelFile) throws(LeafError) -> ModelOptions {
        let fewest = smallestOptions(file)
        guard logitRows == nil else { return fewest }
        let plan = try Model.plan(file, fewest)
        var rows = context
        while rows > fewest.capacity.logitRows {
            let options = options(file, logitRows: rows)
            var unlimited = options
            unlimited.memory = .bytes(.max)
            if try Model.plan(file, unlimited).minimum <= max(plan.minimum, plan.budget / 2) { return options }
            rows /= 2
        }
        return fewest
    }

    /// The same with the fewest rows of logits: what decides whether it fits at all.
    func smallestOptions(_ file: ModelFile) -> ModelOptions {
        options(file, logitRows: logitRows ?? max(sequences, min(context, Self.fewestLogitRows)))
    }

    private func options(_ file: ModelFile, logitRows: Int) -> ModelOptions {
        var options = ModelOptions(
            memory: memory, threads: threads, reading: reading, activations: activations, kv: kv,
            capacity: Demand(
                context: context *| sequences, longest: context, rows: context +| sequences, logitRows: logitRows,
                sequences: sequences))
        let result = Self.resultBytes(rows: logitRows, columns: file.configuration.vocabSize)
        let bytes = Self.requestBytes +| 2 *| result
        options.callerBytes = bytes
        // The room for requests is what limits them.
        options.requestLimit = 1_000_000
        return options
    }

    /// Bytes of one result of logits.
    static func resultBytes(rows: Int, columns: Int) -> Int {
        min(rows, rowsOfResult) *| columns *| MemoryLayout<Float>.stride
    }
}
