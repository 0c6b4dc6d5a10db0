import Foundation

/// A value of an item's JSON.
enum Field: Encodable {
    case text(String)
    case texts([String])
    case number(Int)

    func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        switch self {
        case .text(let text): try container.encode(text)
        case .texts(let texts): try container.encode(texts)
        case .number(let number): try container.encode(number)
        }
    }
}

func item<Item: Decodable>(_ type: Item.Type, _ fields: [String: Field]) throws -> Item {
    try JSONDecoder().decode(type, from: JSONEncoder().encode(fields))
}
