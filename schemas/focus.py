"""Columns of the FOCUS 1.2 cost-and-usage export: what the specification asks of each, and what ours holds.

FOCUS is the FinOps Open Cost and Usage Specification; names, levels, null rules and allowed values are those of its
version 1.2 (`specification/columns/` and `specification/attributes/` of the repository FOCUS_Spec, tag v1.2). A level
is mandatory, recommended, or conditional on what a provider supports. Conditional columns that we leave out are named
in docs/feeds.md, with the reason.
"""

from dataclasses import dataclass
from typing import Literal

Kind = Literal["string", "decimal", "datetime", "json"]
Level = Literal["mandatory", "conditional", "recommended", "custom"]

FOCUS_GRAIN = "One row for each fleet, price plan and ledger bucket of a day that has a night, where it costs anything."

CHARGE_CATEGORIES = ("Usage", "Purchase", "Tax", "Credit", "Adjustment")
CHARGE_FREQUENCIES = ("One-Time", "Recurring", "Usage-Based")
PRICING_CATEGORIES = ("Standard", "Dynamic", "Committed", "Other")
SERVICE_CATEGORIES = (
    "AI and Machine Learning", "Analytics", "Business Applications", "Compute", "Databases", "Developer Tools",
    "Multicloud", "Identity", "Integration", "Internet of Things", "Management and Governance", "Media", "Migration",
    "Mobile", "Networking", "Security", "Storage", "Web", "Other",
)  # fmt: skip
AI_SUBCATEGORIES = (
    "AI Platforms", "Bots", "Generative AI", "Machine Learning", "Natural Language Processing",
    "Other (AI and Machine Learning)",
)  # fmt: skip
"""Of the category AI and Machine Learning, the only one that the export has."""


@dataclass(frozen=True, slots=True)
class FocusColumn:
    """One column: `nullable` as the specification has it, `holds` what the export puts there."""

    name: str
    kind: Kind
    level: Level
    holds: str
    nullable: bool = False
    allowed: tuple[str, ...] = ()
    non_negative: bool = False


def _column(name: str, kind: Kind, level: Level, holds: str, *, nullable: bool = False, allowed: tuple[str, ...] = (),
            non_negative: bool = False) -> FocusColumn:  # fmt: skip
    return FocusColumn(name, kind, level, holds, nullable, allowed, non_negative)


_C = _column

FOCUS_COLUMNS = (
    _C("BilledCost", "decimal", "mandatory", "The same as EffectiveCost: nothing else is billed, this is showback"),
    _C("BillingAccountId", "string", "mandatory", "Price plan: the plans of a fleet are alternatives, never to be added up"),
    _C("BillingAccountName", "string", "mandatory", "Null: plans have no second name", nullable=True),
    _C("BillingCurrency", "string", "mandatory", "Currency of the price plan"),
    _C("BillingPeriodEnd", "datetime", "mandatory", "First instant after the calendar month (UTC)"),
    _C("BillingPeriodStart", "datetime", "mandatory", "First instant of the calendar month (UTC)"),
    _C("ChargeCategory", "string", "mandatory", "Usage", allowed=CHARGE_CATEGORIES),
    _C("ChargeClass", "string", "mandatory", "Null: no row corrects an invoice", nullable=True, allowed=("Correction",)),
    _C("ChargeDescription", "string", "mandatory", "Bucket, endpoint, demand and plan in words", nullable=True),
    _C("ChargeFrequency", "string", "recommended", "Usage-Based", allowed=CHARGE_FREQUENCIES),
    _C("ChargePeriodEnd", "datetime", "mandatory", "First instant of the next day (UTC)"),
    _C("ChargePeriodStart", "datetime", "mandatory", "First instant of the night's UTC date"),
    _C("CommitmentDiscountId", "string", "conditional", "Null: no commitment is known", nullable=True),
    _C("CommitmentDiscountStatus", "string", "conditional", "Null: no commitment is known", nullable=True,
       allowed=("Used", "Unused")),
    _C("ConsumedQuantity", "decimal", "conditional",
       "Tokens of the good requests (input, cached_input, output), failed or missed requests, else as PricingQuantity",
       nullable=True),
    _C("ConsumedUnit", "string", "conditional", "Tokens, Requests, or as PricingUnit", nullable=True),
    _C("ContractedCost", "decimal", "mandatory", "The same as ListCost: no negotiated discounts are known"),
    _C("EffectiveCost", "decimal", "mandatory", "The ledger's bucket for one day: a 365th of its year"),
    _C("InvoiceId", "string", "recommended", "Null: no charge is on an invoice", nullable=True),
    _C("InvoiceIssuerName", "string", "mandatory", "--invoice-issuer, else as ProviderName"),
    _C("ListCost", "decimal", "mandatory", "ListUnitPrice x PricingQuantity"),
    _C("ListUnitPrice", "decimal", "conditional", "One priced unit for an hour; one request of an API", nullable=True,
       non_negative=True),
    _C("PricingCategory", "string", "conditional", "Standard; Dynamic for spot", nullable=True, allowed=PRICING_CATEGORIES),
    _C("PricingCurrency", "string", "conditional", "As BillingCurrency", nullable=True),
    _C("PricingCurrencyContractedUnitPrice", "decimal", "conditional", "As ListUnitPrice", nullable=True, non_negative=True),
    _C("PricingCurrencyEffectiveCost", "decimal", "conditional", "As EffectiveCost", nullable=True),
    _C("PricingCurrencyListUnitPrice", "decimal", "conditional", "As ListUnitPrice", nullable=True, non_negative=True),
    _C("PricingQuantity", "decimal", "mandatory",
       "The bucket's share of the unit-hours that are paid for in the day, or of an API's requests", nullable=True),
    _C("PricingUnit", "string", "mandatory", "Server-Hours, Instance-Hours, Unit-Hours or Requests", nullable=True),
    _C("ProviderName", "string", "mandatory", "--provider, else Ratecard: the internal offering that this is the showback of"),
    _C("PublisherName", "string", "mandatory", "--publisher, else as ProviderName"),
    _C("ResourceId", "string", "conditional", "Demand and endpoint: the fleet, whatever the night", nullable=True),
    _C("ResourceName", "string", "conditional", "Null: a fleet has no second name", nullable=True),
    _C("ResourceType", "string", "conditional", "Fleet", nullable=True),
    _C("ServiceCategory", "string", "mandatory", "AI and Machine Learning", allowed=SERVICE_CATEGORIES),
    _C("ServiceName", "string", "mandatory", "LLM inference"),
    _C("ServiceSubcategory", "string", "recommended", "Generative AI", allowed=AI_SUBCATEGORIES),
    _C("SkuId", "string", "conditional", "Endpoint and bucket", nullable=True),
    _C("SkuMeter", "string", "conditional", "Bucket of the ledger", nullable=True),
    _C("SkuPriceDetails", "json", "conditional", "Kind of plan, what a rented plan rents, its pricing category", nullable=True),
    _C("SkuPriceId", "string", "conditional", "Endpoint, bucket and price plan", nullable=True),
    _C("SubAccountId", "string", "conditional", "Demand", nullable=True),
    _C("SubAccountName", "string", "conditional", "Application that the demand stands for", nullable=True),
    _C("x_AllocationMethod", "string", "custom", "How work was split into input and output"),
    _C("x_Bucket", "string", "custom", "Bucket of the ledger"),
    _C("x_Demand", "string", "custom", "Demand of the catalog"),
    _C("x_Endpoint", "string", "custom", "Endpoint of the catalog"),
    _C("x_FleetId", "string", "custom", "Fleet of that night, as in curated.cost_ledger"),
    _C("x_MeanBasis", "string", "custom", "Rate that the ledger stands at: mean, trace or peak"),
    _C("x_MetricVersion", "decimal", "custom", "Version of the metric definitions"),
    _C("x_Model", "string", "custom", "Model served", nullable=True),
    _C("x_OperatingPointId", "string", "custom", "Operating point that it stands on", nullable=True),
    _C("x_PriceKind", "string", "custom", "own, rent or api"),
    _C("x_PricePlan", "string", "custom", "Price plan of the catalog"),
    _C("x_PriceSource", "string", "custom", "Where the plan's figures are from"),
    _C("x_RunId", "string", "custom", "Run that it stands on", nullable=True),
    _C("x_Slo", "string", "custom", "SLO of the catalog"),
    _C("x_Workload", "string", "custom", "Workload of the catalog"),
)  # fmt: skip
