import LeafSystem

extension Session.Contents {
    /// The value of an option by its name, as the file has it; nil for one that it does not have.
    package func value(of name: String) -> String? { fields.first { $0.name.rawValue == name }?.value }

    /// What it was begun with, by names and in words, in the order of the file.
    package var options: [(name: String, value: String)] { fields.map { ($0.name.rawValue, $0.words) } }

    /// Takes the options that a session was begun with.
    ///
    /// What cannot be read stays as it is: whoever goes on is told by the comparison that it differs.
    ///
    /// - Parameters:
    ///   - samples: the number of texts.
    ///   - given: names of options that stay as they are: `decoding`, `number`, `temperature` and so on.
    package func complete(_ options: inout GenerationOptions, samples: inout Int, except given: Set<String>) {
        for field in fields where !given.contains(field.name.rawValue) && field.value.utf8.count <= Self.longestTaken {
            if field.name == .number { samples = Int(field.value) ?? samples } else { options.take(field) }
        }
        if case .beams = options.decoding { return }
        // What is there counts too.
        if !given.contains(SessionHead.Field.Name.maxTokens.rawValue) {
            options.maxTokens = max(options.maxTokens, tokens)
        }
    }

    /// Bytes of a value that is taken at most: more would be memory that no plan knows.
    private static var longestTaken: Int { 1 << 14 }
}

extension GenerationOptions {
    /// The inverse of `GenerationRequest.sessionFields`.
    fileprivate mutating func take(_ field: SessionHead.Field) {
        let value = field.value
        switch field.name {
        case .decoding: decoding = Decoding(words: value) ?? decoding
        case .compat: compatibility = Compatibility(rawValue: value) ?? compatibility
        case .temperature: temperature = Float(value) ?? temperature
        case .topP: topP = Float(value) ?? topP
        case .topK: topK = Int(value) ?? topK
        case .minP: minP = Float(value) ?? minP
        case .repetitionPenalty: repetitionPenalty = Float(value) ?? repetitionPenalty
        case .repetitionWindow: repetitionWindow = Int(value)
        case .frequencyPenalty: frequencyPenalty = Float(value) ?? frequencyPenalty
        case .presencePenalty: presencePenalty = Float(value) ?? presencePenalty
        case .noRepeatNgram: noRepeatNgram = Int(value) ?? noRepeatNgram
        case .logitBias: logitBias = Self.biases(value) ?? logitBias
        case .allowEmpty: allowEmpty = Bool(value)
        case .eosID: eosID = Int32(value) ?? eosID
        case .stop: stop = Self.texts(value) ?? stop
        case .lengthPenalty: lengthPenalty = Float(value) ?? lengthPenalty
        case .earlyStopping: earlyStopping = Bool(value) ?? earlyStopping
        case .task: task = Int(value) ?? task
        case .segment: segment = Int(value) ?? segment
        case .logprobs: logprobs = Int(value)
        case .maxTokens: maxTokens = Int(value) ?? maxTokens
        case .rules, .software, .model, .kv, .activations, .delta, .promptEmbedding, .number: break
        }
    }

    /// `5=-1.5 7=2.0`
    private static func biases(_ words: String) -> [Int32: Float]? {
        var biases: [Int32: Float] = [:]
        for word in words.split(separator: " ") {
            let parts = word.split(separator: "=", maxSplits: 1)
            guard parts.count == 2, let id = Int32(parts[0]), let value = Float(parts[1]) else { return nil }
            biases[id] = value
        }
        return biases
    }

    /// `["，", "\n"]`: texts as Swift describes them.
    package static func texts(_ description: String) -> [String]? {
        var texts: [String] = []
        var rest = description.unicodeScalars[...]
        func take(_ scalar: Unicode.Scalar) -> Bool {
            guard rest.first == scalar else { return false }
            rest.removeFirst()
            return true
        }
        guard take("[") else { return nil }
        while !take("]") {
            if !texts.isEmpty { guard take(","), take(" ") else { return nil } }
            guard take("\"") else { return nil }
            var text = String.UnicodeScalarView()
            while !take("\"") {
                guard let scalar = rest.popFirst() else { return nil }
                guard scalar == "\\" else {
                    text.append(scalar)
                    continue
                }
                guard let escaped = Self.escaped(&rest) else { return nil }
                text.append(escaped)
            }
            texts.append(String(text))
        }
        return rest.isEmpty ? texts : nil
    }

    /// What stands behind a backslash.
    private static func escaped(_ rest: inout Substring.UnicodeScalarView) -> Unicode.Scalar? {
        guard let scalar = rest.popFirst() else { return nil }
        switch scalar {
        case "n": return "\n"
        case "r": return "\r"
        case "t": return "\t"
        case "0": return "\0"
        case "u":
            guard rest.popFirst() == "{", let end = rest.firstIndex(of: "}") else { return nil }
            let digits = String(rest[..<end])
            rest = rest[rest.index(after: end)...]
            return UInt32(digits, radix: 16).flatMap { Unicode.Scalar($0) }
        default: return scalar
        }
    }
}

extension GenerationOptions.Decoding {
    /// The inverse of `words`.
    fileprivate init?(words: String) {
        let parts = words.drop { $0 == "-" }.split(separator: " ")
        switch (parts.first, parts.count) {
        case ("greedy", 1): self = .greedy
        case ("sampling", 1): self = .sampling
        case ("beams", 2):
            guard let width = Int(parts[1]) else { return nil }
            self = .beams(width)
        default: return nil
        }
    }
}
