import LeafFormat
package import LeafSystem

/// A type that the command line can have a value of.
package protocol ArgumentValue: Sendable {
    init?(argument: String)
    /// The description of a valid value, which follows "is not": `a whole number`.
    static var expectation: String { get }
    /// What is wrong with a text that has the form and stands for no value, behind it: `is too large; ..`.
    static func fault(in argument: String) -> String?
    /// What to say of a text that can be read and was hardly meant so, behind it: `means 5 bytes a second, ..`.
    static func doubt(about argument: String) -> String?
}

extension ArgumentValue {
    package static func fault(in argument: String) -> String? { nil }
    package static func doubt(about argument: String) -> String? { nil }
}

extension String: ArgumentValue {
    package init?(argument: String) { self = argument }
    package static var expectation: String { "a text" }
}

extension Int: ArgumentValue {
    /// A number that is too large for the type is its largest one, so that whoever knows the limits names them.
    package init?(argument: String) {
        if let value = Int(argument) {
            self = value
        } else {
            let digits = argument.drop { $0 == "+" || $0 == "-" }
            guard argument.count - digits.count < 2, !digits.isEmpty, digits.utf8.allSatisfy({ (48...57).contains($0) })
            else { return nil }
            self = argument.hasPrefix("-") ? .min : .max
        }
    }
    package static var expectation: String { "a whole number" }
}

extension Int32: ArgumentValue {
    package init?(argument: String) { self.init(argument) }
    package static var expectation: String { "a whole number" }
}

extension UInt64: ArgumentValue {
    package init?(argument: String) { self.init(argument) }
    package static var expectation: String { "a whole number from 0 to 2^64 - 1" }
}

extension Float: ArgumentValue {
    /// Accepts only decimal numbers: hexadecimal ones, infinities and NaN are typing errors here.
    package init?(argument: String) {
        guard argument.utf8.allSatisfy({ Self.characters.contains($0) }), let value = Float(argument),
            value.isFinite
        else { return nil }
        self = value
    }

    private static var characters: [UInt8] { Array("0123456789.+-eE".utf8) }

    /// 0 turns many options off, which nobody has asked for by a small number.
    package static func doubt(about argument: String) -> String? {
        guard Float(argument) == 0, !argument.isZero else { return nil }
        return "is too near 0 to be told from it; give 0 or a larger number"
    }

    package static var expectation: String { "a number" }
}

extension ByteCount: ArgumentValue {
    package init?(argument: String) { self.init(argument) }
    package static var expectation: String { "a size such as 512MiB, 2GiB, 4GB or a number of bytes" }
}

extension ByteRate: ArgumentValue {
    package init?(argument: String) { self.init(argument) }
    package static var expectation: String { "a rate such as 200MB/s or 1GiB/s" }
}

extension ArgumentValue where Self: RawRepresentable & CaseIterable, RawValue == String {
    package init?(argument: String) { self.init(rawValue: argument) }

    package static var expectation: String {
        "one of " + allCases.map(\.rawValue).joined(separator: ", ")
    }
}
