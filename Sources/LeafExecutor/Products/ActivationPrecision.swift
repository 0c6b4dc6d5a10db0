/// The precision of activations in products with int8 weights.
public enum ActivationPrecision: String, Sendable, CaseIterable {
    case int16, int8
}
