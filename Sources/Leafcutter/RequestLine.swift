import LeafFormat
public import LeafGeneration

/// One request as JSON: `{"id","prompt" or "input_ids", any option in snake_case}`.
///
/// Options that are missing have the values of the decoder's `userInfo[.defaults]`, else CPM-Live's.
public struct RequestLine: Decodable, Sendable {
    /// Whatever names the request for the one who asks.
    public enum ID: Decodable, Sendable, Equatable {
        case text(String)
        case number(Int)

        public init(from decoder: any Decoder) throws {
            let value = try decoder.singleValueContainer()
            self =
                if let number = try? value.decode(Int.self) { .number(number) } else {
                    .text(try value.decode(String.self))
                }
        }
    }

    /// Options and samples of requests that say nothing about them.
    public struct Defaults: Sendable {
        public var options: GenerationOptions
        public var samples: Int

        public init(options: GenerationOptions = GenerationOptions(), samples: Int = 1) {
            self.options = options
            self.samples = samples
        }
    }

    public var id: ID?
    public var prompt: Prompt
    public var options: GenerationOptions
    public var samples: Int

    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: Name.self)
        let defaults = decoder.userInfo[.defaults] as? Defaults ?? Defaults()
        options = defaults.options
        samples = defaults.samples
        var text: String?
        var ids: [Int32]?
        var isGreedy: Bool?
        var beams: Int?
        for name in fields.allKeys where try !fields.decodeNil(forKey: name) {
            do {
                switch name.stringValue {
                case "id": id = try fields.decode(ID.self, forKey: name)
                case "prompt": text = try fields.decode(String.self, forKey: name)
                case "input_ids": ids = try fields.decode([Int32].self, forKey: name)
                case "n": samples = try fields.decode(Int.self, forKey: name)
                case "greedy": isGreedy = try fields.decode(Bool.self, forKey: name)
                case "beams": beams = try fields.decode(Int.self, forKey: name)
                default:
                    guard try options.set(name, fields) else {
                        throw LeafError(.usage, "there is no option '\(name.stringValue)'")
                    }
                }
            } catch let error as LeafError {
                throw error
            } catch {
                throw LeafError(.usage, "'\(name.stringValue)' has a value of the wrong kind or size")
            }
        }
        switch (isGreedy, beams) {
        case (true?, _?): throw LeafError(.usage, "give 'greedy' or 'beams', not both")
        case (_, let width?): options.decoding = .beams(width)
        case (true?, nil): options.decoding = .greedy
        case (false?, nil): if options.decoding == .greedy { options.decoding = .sampling }
        case (nil, nil): break
        }
        switch (text, ids) {
        case (let text?, nil): prompt = .text(text)
        case (nil, let ids?): prompt = .ids(ids)
        case (nil, nil): throw LeafError(.usage, "'prompt' or 'input_ids' is missing")
        case (_?, _?): throw LeafError(.usage, "give 'prompt' or 'input_ids', not both")
        }
    }

    /// The name of a field.
    struct Name: CodingKey {
        let stringValue: String
        var intValue: Int? { nil }

        init?(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

extension CodingUserInfoKey {
    /// `RequestLine.Defaults`
    public static var defaults: CodingUserInfoKey {
        guard let key = CodingUserInfoKey(rawValue: "leafcutter.defaults") else { preconditionFailure() }
        return key
    }
}

extension GenerationOptions {
    /// Takes one option by its name in JSON.
    /// - Returns: whether there is such an option.
    mutating func set(
        _ name: RequestLine.Name, _ fields: KeyedDecodingContainer<RequestLine.Name>
    ) throws -> Bool {
        func value<Value: Decodable>() throws -> Value { try fields.decode(Value.self, forKey: name) }
        switch name.stringValue {
        case "max_tokens": maxTokens = try value()
        case "temperature": temperature = try value()
        case "top_p": topP = try value()
        case "top_k": topK = try value()
        case "min_p": minP = try value()
        case "seed": seed = try value() as UInt64
        case "repetition_penalty": repetitionPenalty = try value()
        case "repetition_window": repetitionWindow = try value() as Int
        case "frequency_penalty": frequencyPenalty = try value()
        case "presence_penalty": presencePenalty = try value()
        case "no_repeat_ngram": noRepeatNgram = try value()
        case "logit_bias": logitBias = try LogitBiases(value()).biases
        case "allow_empty": allowEmpty = try value() as Bool
        case "eos_id": eosID = try value()
        case "stop":
            stop = if let one = try? value() as String { [one] } else { try value() }
        case "length_penalty": lengthPenalty = try value()
        case "early_stopping": earlyStopping = try value()
        case "compat":
            let name: String = try value()
            guard let known = Compatibility(rawValue: name) else {
                let names = Compatibility.allCases.map(\.rawValue).joined(separator: ", ")
                throw LeafError(.usage, "compat '\(name)' is not one of \(names)")
            }
            compatibility = known
        case "task": task = try value()
        case "segment": segment = try value()
        case "delta": delta = try value() as String
        case "prompt_embedding": promptEmbedding = try value() as String
        case "logprobs": logprobs = try value() as Int
        default: return false
        }
        return true
    }
}

/// `{"103": -5}`: JSON's keys are strings.
private struct LogitBiases {
    let biases: [Int32: Float]

    init(_ fields: [String: Float]) throws(LeafError) {
        var biases: [Int32: Float] = [:]
        for (name, bias) in fields {
            guard let id = Int32(name) else {
                throw LeafError(.usage, "logit_bias names '\(name)', which is no token id")
            }
            biases[id] = bias
        }
        self.biases = biases
    }
}
