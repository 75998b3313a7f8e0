"""Aside: tables that the numbers in the rule of the choice were set on, and no page reports."""
