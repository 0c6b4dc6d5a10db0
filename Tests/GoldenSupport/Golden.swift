import Foundation

/// The golden data under `Tests/Golden`, made by independent implementations (see its README).
public enum Golden {
    public static let root = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
        .appendingPathComponent("Golden")
    public static let repository = root.deletingLastPathComponent().deletingLastPathComponent()
    public static let demoModel = repository.appendingPathComponent("Examples/demo-model")

    /// A program of this package, built beside the running tests.
    public static func builtProduct(_ name: String) -> URL {
        URL(fileURLWithPath: CommandLine.arguments[0]).deletingLastPathComponent().appendingPathComponent(name)
    }

    public static func model(_ name: String) -> URL { root.appendingPathComponent("models/\(name)") }

    public static func decode<Value: Decodable>(_ type: Value.Type, _ path: String) throws -> Value {
        try decode(type, at: root.appendingPathComponent(path))
    }

    public static func decode<Value: Decodable>(_ type: Value.Type, at url: URL) throws -> Value {
        let decoder = JSONDecoder()
        decoder.keyDecodingStrategy = .convertFromSnakeCase
        return try decoder.decode(type, from: Data(contentsOf: url))
    }
}

/// A directory that goes when its owner goes.
public final class TemporaryDirectory: Sendable {
    public let url: URL

    public init() throws {
        url = FileManager.default.temporaryDirectory.appendingPathComponent("leafcutter-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: url, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(at: url) }

    public func path(_ name: String) -> String { url.appendingPathComponent(name).path }
}

/// A safetensors file read the plainest way, as a second opinion beside the product's own reader.
public struct PlainSafetensors {
    public let shapes: [String: [Int]]
    private let offsets: [String: [Int]]
    private let types: [String: String]
    private let data: Data

    public init(_ url: URL) throws {
        let file = try Data(contentsOf: url)
        let length = file.prefix(8).enumerated().reduce(0) { $0 + Int($1.element) << (8 * $1.offset) }
        let header = try JSONSerialization.jsonObject(with: file[8..<8 + length]) as? [String: Any] ?? [:]
        var shapes: [String: [Int]] = [:]
        var offsets: [String: [Int]] = [:]
        var types: [String: String] = [:]
        for (name, value) in header {
            guard let entry = value as? [String: Any], name != "__metadata__" else { continue }
            shapes[name] = entry["shape"] as? [Int]
            offsets[name] = entry["data_offsets"] as? [Int]
            types[name] = entry["dtype"] as? String
        }
        self.shapes = shapes
        self.offsets = offsets
        self.types = types
        data = file[(8 + length)...]
    }

    public func floats(_ name: String) -> [Float]? {
        guard types[name] == "F32", let range = offsets[name] else { return nil }
        return data[data.startIndex + range[0]..<data.startIndex + range[1]].withUnsafeBytes { bytes in
            (0..<bytes.count / 4).map { bytes.loadUnaligned(fromByteOffset: $0 * 4, as: Float.self) }
        }
    }
}

/// A float that JSON may hold as a number or as "-inf".
public struct JSONFloat: Decodable, Sendable {
    public let value: Float

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        if let text = try? container.decode(String.self) {
            value = text == "-inf" ? -.infinity : .nan
        } else {
            value = try container.decode(Float.self)
        }
    }
}
