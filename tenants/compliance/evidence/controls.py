"""Which facts speak for which control of which framework. The one place that says it."""

from dataclasses import dataclass

SOC2, ISO, GDPR, AI_ACT = "SOC 2", "ISO 27001:2022", "GDPR", "EU AI Act"


@dataclass(frozen=True)
class Control:
    """One demand of a framework, and the names of the facts that answer it."""

    framework: str
    number: str
    title: str
    facts: tuple[str, ...]


CONTROLS = (
    Control(
        SOC2,
        "CC6.1",
        "Logical access to protected information is restricted",
        ("row_level_security", "application_role", "second_factor", "sealed_columns", "encryption_key"),
    ),
    Control(SOC2, "CC6.2", "Users are registered and authorized", ("second_factor", "single_sign_on")),
    Control(SOC2, "CC6.3", "Access follows roles and least privilege", ("application_role", "api_keys")),
    Control(SOC2, "CC6.5", "Data is disposed of when it is no longer needed", ("retention", "erasures")),
    Control(SOC2, "CC6.6", "Access from outside is protected", ("transport", "second_factor")),
    Control(SOC2, "CC6.7", "Information is protected on its way", ("transport", "encryption_key")),
    Control(
        SOC2,
        "CC7.2",
        "Operations are watched for anomalies",
        ("audit_log", "audit_append_only", "audit_seals"),
    ),
    Control(SOC2, "CC7.3", "Events are evaluated", ("audit_log",)),
    Control(SOC2, "CC8.1", "Changes are authorized and known", ("schema", "versions")),
    Control(
        ISO,
        "A.5.33",
        "Records are protected",
        ("audit_append_only", "audit_seals", "legal_holds", "certificates"),
    ),
    Control(ISO, "A.5.34", "Privacy and personal data", ("inventory", "provenance", "erasures")),
    Control(ISO, "A.8.3", "Access to information is restricted", ("row_level_security", "application_role")),
    Control(ISO, "A.8.5", "Secure authentication", ("second_factor", "single_sign_on")),
    Control(ISO, "A.8.10", "Information is deleted", ("retention", "retention_rules", "certificates")),
    Control(ISO, "A.8.15", "Logging", ("audit_log", "audit_append_only", "audit_seals")),
    Control(ISO, "A.8.24", "Use of cryptography", ("encryption_key", "sealed_columns", "transport")),
    Control(ISO, "A.8.32", "Change management", ("schema", "versions")),
    Control(
        GDPR,
        "Art. 5",
        "Lawfulness, purpose, storage limitation",
        ("provenance", "retention_rules", "retention"),
    ),
    Control(GDPR, "Art. 15", "Right of access", ("exports",)),
    Control(GDPR, "Art. 17", "Right to erasure", ("erasures", "certificates", "legal_holds")),
    Control(GDPR, "Art. 30", "Records of processing", ("inventory", "provenance")),
    Control(
        GDPR,
        "Art. 32",
        "Security of processing",
        ("row_level_security", "sealed_columns", "encryption_key", "transport", "second_factor"),
    ),
    Control(
        GDPR, "Art. 33", "Breaches can be noticed and told", ("audit_log", "audit_append_only", "audit_seals")
    ),
    Control(
        AI_ACT,
        "Art. 12",
        "Events are recorded over the lifetime",
        ("requests", "lineage", "audit_log", "audit_seals"),
    ),
)
